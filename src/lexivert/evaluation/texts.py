"""Held-out texts: drawn from the corpus, measured against a vector's limit, segmented and embedded once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.errors import LexivertError
from lexivert.evaluation import metrics
from lexivert.text.tokenizer import normalize


def texts_of(paths: Paths, split: str) -> list[str]:
    """All sentences of a split."""
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    pairs = zip(corpus["split"].to_pylist(), corpus["text"].to_pylist(), strict=True)
    return [text for own, text in pairs if own == split]


def read_features(paths: Paths, split: str) -> tuple[list[str], Tensor]:
    """Sentences of a split whose features stage ``features`` has written, and these at unit length.

    Shape: T strings and (T, S) float16.
    """
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    splits, texts = corpus["split"].to_pylist(), corpus["text"].to_pylist()
    rows = artifacts.read_array(paths.sentence_rows)
    chosen = np.flatnonzero([splits[row] == split for row in rows.tolist()])
    features = torch.from_numpy(artifacts.read_array(paths.sentence_features, mmap=True)[chosen].astype(np.float32))
    return [texts[int(rows[place])] for place in chosen], F.normalize(features, dim=-1).half()


def choose_texts(texts: Sequence[str], per_bucket: int, seed: int) -> list[str]:
    """Draw at most ``per_bucket`` distinct texts of every length bucket, shortest bucket first."""
    rng = np.random.default_rng(seed)
    distinct = sorted({normalize(text) for text in texts})
    chosen: list[str] = []
    for rows in metrics.by_length(distinct).values():
        picked = rng.permutation(len(rows))[:per_bucket]
        chosen += [distinct[rows[i]] for i in sorted(picked.tolist())]
    return chosen


def segment_fitting(encoder: Encoder, texts: Sequence[str]) -> tuple[list[str], list[list[int]]]:
    """Those of some texts that a vector is made for, and their units.

    Raises:
        LexivertError: there are none.
    """
    segmented = ((text, encoder.segmenter.segment(text)) for text in texts)
    fitting = [(text, units) for text, units in segmented if 0 < len(units) <= encoder.config.code.max_units]
    if not fitting:
        raise LexivertError(
            "no test text of 1 to 40 words fits code.max_units; check corpus.test_share and the corpus"
        )
    return [text for text, _ in fitting], [units for _, units in fitting]


def encode_texts(encoder: Encoder, texts: Sequence[str], units: list[list[int]]) -> EncodedTexts:
    """Embed texts of which the units are known."""
    features = torch.from_numpy(encoder.backbone.encode(texts, progress="embedding"))
    return EncodedTexts(list(texts), units, F.normalize(features, dim=-1))


def draw_texts(encoder: Encoder, texts: Sequence[str], count: int, seed: int) -> EncodedTexts:
    """Draw distinct texts, of any length but none, segment and embed them."""
    distinct = sorted({normalize(text) for text in texts})
    chosen = [distinct[row] for row in np.random.default_rng(seed).permutation(len(distinct))[:count]]
    segmented = [(text, encoder.segmenter.segment(text)) for text in chosen]
    kept = [(text, units) for text, units in segmented if units]
    return encode_texts(encoder, [text for text, _ in kept], [units for _, units in kept])
