"""Held-out texts: drawn from the corpus as earlier stages have segmented and embedded it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

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


def sources_of(paths: Paths, split: str) -> dict[str, str]:
    """Source of each distinct normalised sentence of a split; the first one's where two have it."""
    corpus = artifacts.read_parquet(paths.corpus, ["split", "source", "text"])
    found: dict[str, str] = {}
    for own, source, text in zip(*(corpus[name].to_pylist() for name in ("split", "source", "text")), strict=True):
        if own == split:
            found.setdefault(normalize(text), source)
    return found


def choose_texts(
    texts: Sequence[str], per_bucket: int, seed: int, sources: Mapping[str, str] | None = None
) -> list[str]:
    """Draw at most ``per_bucket`` distinct texts of every length bucket, each bucket's sorted, shortest bucket first.

    Args:
        texts: to draw from.
        per_bucket: most texts of a bucket.
        seed: of the draw.
        sources: source of each text. A bucket is filled with one text of every source in turn; a source that has no
            more is passed over. None: all are of one.
    """
    rng = np.random.default_rng(seed)
    distinct = sorted({normalize(text) for text in texts})
    chosen: list[str] = []
    for rows in metrics.by_length(distinct).values():
        bucket = [distinct[row] for row in rows]
        chosen += sorted(_in_turns(bucket, sources, rng)[:per_bucket])
    return chosen


def draw_texts(texts: Sequence[str], count: int, seed: int, sources: Mapping[str, str] | None = None) -> list[str]:
    """Draw at most ``count`` distinct texts of any length.

    They come in random order; with ``sources``, see ``choose_texts``, in rounds of one random text of every source,
    the sources in alphabetical order.
    """
    distinct = sorted({normalize(text) for text in texts})
    return _in_turns(distinct, sources, np.random.default_rng(seed))[:count]


def _in_turns(texts: Sequence[str], sources: Mapping[str, str] | None, rng: np.random.Generator) -> list[str]:
    """All texts in random order; with sources, in rounds of one text of every source that still has any."""
    drawn = [texts[row] for row in rng.permutation(len(texts)).tolist()]
    if sources is None:
        return drawn
    met: Counter[str] = Counter()
    rounds: list[tuple[int, str, str]] = []
    for text in drawn:
        rounds.append((met[sources[text]], sources[text], text))
        met[sources[text]] += 1
    return [text for _, _, text in sorted(rounds, key=lambda turn: turn[:2])]


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
