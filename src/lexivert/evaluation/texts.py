"""Held-out texts: drawn from the corpus as earlier stages have segmented and embedded it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

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


def choose_texts(texts: Sequence[str], per_bucket: int, seed: int) -> list[str]:
    """Draw at most ``per_bucket`` distinct texts of every length bucket, shortest bucket first."""
    rng = np.random.default_rng(seed)
    distinct = sorted({normalize(text) for text in texts})
    chosen: list[str] = []
    for rows in metrics.by_length(distinct).values():
        picked = rng.permutation(len(rows))[:per_bucket]
        chosen += [distinct[rows[i]] for i in sorted(picked.tolist())]
    return chosen


def draw_texts(texts: Sequence[str], count: int, seed: int) -> list[str]:
    """Draw at most ``count`` distinct texts of any length."""
    distinct = sorted({normalize(text) for text in texts})
    return [distinct[row] for row in np.random.default_rng(seed).permutation(len(distinct))[:count]]


def with_texts(encoded: EncodedTexts, texts: Sequence[str]) -> EncodedTexts:
    """Those of some encoded texts that are the given ones, in their order."""
    row_of = {text: row for row, text in enumerate(encoded.texts)}
    return encoded.only([row_of[text] for text in texts])


def fitting(texts: EncodedTexts, max_units: int) -> EncodedTexts:
    """Texts that a vector of at most ``max_units`` units is made for.

    Raises:
        LexivertError: there are none.
    """
    kept = texts.of_length(1, max_units, len(texts))
    if not len(kept):
        raise LexivertError(
            "no test text of 1 to 40 words fits code.max_units; check corpus.test_share and the corpus"
        )
    return kept


def embedded(encoder: Encoder, texts: EncodedTexts) -> EncodedTexts:
    """The same texts with prefixes in full precision: those on disk are rounded to half floats."""
    features = torch.from_numpy(encoder.backbone.encode(texts.texts, progress="embedding"))
    return EncodedTexts(texts.texts, texts.units, F.normalize(features, dim=-1))


def encode_texts(encoder: Encoder, texts: Sequence[str]) -> EncodedTexts:
    """Segment and embed texts that are no part of the corpus; those without any unit are left out."""
    segmented = [(text, encoder.segmenter.segment(text)) for text in texts]
    kept = [(text, units) for text, units in segmented if units]
    nothing = torch.zeros(len(kept), encoder.config.semantic_width)
    return embedded(encoder, EncodedTexts([text for text, _ in kept], [units for _, units in kept], nothing))
