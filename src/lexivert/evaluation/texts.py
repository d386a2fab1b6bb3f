"""Held-out texts and their vectors."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.evaluation import metrics
from lexivert.text.tokenizer import normalize

Units = list[list[int]]


@dataclass(frozen=True)
class EvalTexts:
    """Test texts with their vectors.

    Attributes:
        texts: B normalised texts.
        units: their units.
        vectors: clean vectors, unit length. Shape: (B, D).
        features: backbone embeddings. Shape: (B, S).
    """

    texts: list[str]
    units: Units
    vectors: Tensor
    features: Tensor

    def only(self, rows: Sequence[int]) -> EvalTexts:
        """Some of them."""
        chosen = list(rows)
        texts, units = [self.texts[row] for row in chosen], [self.units[row] for row in chosen]
        return EvalTexts(texts, units, self.vectors[chosen], self.features[chosen])


def texts_of(paths: Paths, split: str) -> list[str]:
    """All sentences of a split."""
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    pairs = zip(corpus["split"].to_pylist(), corpus["text"].to_pylist(), strict=True)
    return [text for own, text in pairs if own == split]


def choose_texts(texts: Sequence[str], per_bucket: int, seed: int) -> list[str]:
    """Draw at most ``per_bucket`` distinct texts of every length bucket, shortest bucket first."""
    rng = np.random.default_rng(seed)
    distinct = sorted({normalize(text) for text in texts})
    chosen: list[str] = []
    for rows in metrics.by_length(distinct).values():
        picked = rng.permutation(len(rows))[:per_bucket]
        chosen += [distinct[rows[i]] for i in sorted(picked.tolist())]
    return chosen


def hold(encoder: Encoder, texts: Sequence[str]) -> tuple[EvalTexts, float]:
    """Encode texts; return them with vectors, and texts a second."""
    start = time.perf_counter()
    vectors = torch.from_numpy(encoder.encode(texts, progress="encoding"))
    rate = len(texts) / (time.perf_counter() - start)
    features = torch.from_numpy(encoder.backbone.encode(texts))
    return EvalTexts(list(texts), encoder.segment(texts), vectors, features), rate
