"""Learns the lexicon: counts tokens and phrases, chooses units, adds subwords and lists, drops unused phrases."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lexivert.config import VocabParams
from lexivert.text.kinds import TokenKind, classify, is_reserved
from lexivert.text.languages import Mixture, expected_usage, listed_units
from lexivert.text.lexicon import BYTES, CONTROL, COUNTED_KINDS, EOS, RESERVED, Lexicon
from lexivert.text.ngrams import CodedText, Phrases, count_phrases, encode_texts
from lexivert.text.segmenting import segment_texts
from lexivert.text.wordpieces import learn_pieces

logger = logging.getLogger(__name__)

PHRASE_KINDS = frozenset({"ngram", "entity"})
_PLAIN_KINDS = {
    TokenKind.WORD: "word",
    TokenKind.NUMBER: "number",
    TokenKind.NUMERIC: "numeric",
    TokenKind.ANOMALOUS: "anomalous",
    TokenKind.PUNCTUATION: "punctuation",
}


@dataclass(slots=True)
class Unit:
    """A candidate for the lexicon; usage is how often the segmented training text has it."""

    surface: str
    kind: str
    count: int
    usage: int = 0


def build_lexicon(
    sentences: Sequence[str], params: VocabParams, lists: Mapping[str, Mapping[str, float]] | None = None
) -> tuple[Lexicon, pa.ListArray]:
    """Build the lexicon of the training sentences and of word lists.

    Phrases that the segmentation uses less than ``params.min_usage`` times (since longer ones cover them) are
    dropped, and usage is measured again without them.

    Args:
        sentences: training texts, plain or in WikiText's convention, in any order.
        params: thresholds and caps.
        lists: word frequencies by language, the most important first; None for none.

    Returns:
        The lexicon, and the sentences in its units, a list of int32 each.
    """
    units = count_units(sentences, params)
    mixture = Mixture.of(lists) if lists else None
    if mixture is not None:
        units += units_of_lists(mixture, params, {unit.surface for unit in units})
    lexicon, _ = with_usage(units, sentences, "segmenting train")
    kept = [
        unit
        for unit in _units_of(lexicon)
        if unit.usage >= params.min_usage or unit.kind not in PHRASE_KINDS or " " not in unit.surface
    ]
    logger.info("%d of %d units stay after unused phrases are dropped", len(kept), len(units))
    return with_usage(kept, sentences, "segmenting train again", mixture)


def count_units(sentences: Iterable[str], params: VocabParams) -> list[Unit]:
    """Count tokens and phrases, and choose units of every kind; pieces come last, with count 0."""
    text = encode_texts(sentences)
    logger.info("%d tokens of %d types", np.count_nonzero(text.codes >= 0), len(text.surfaces))
    units = choose(count_candidates(text, params), params)
    counts = dict(zip(text.surfaces, text.counts.tolist(), strict=True))
    alphabetic = {surface: count for surface, count in counts.items() if surface[0].isalpha()}
    pieces = learn_pieces(alphabetic, params.pieces, {unit.surface for unit in units})
    return units + [Unit(piece, "piece", 0) for piece in pieces]


def units_of_lists(mixture: Mixture, params: VocabParams, known: Collection[str]) -> list[Unit]:
    """Words and subwords of other languages that are no units yet; their counts are 0, as those of pieces are."""
    found = listed_units(mixture, params.language_words, params.language_pieces, known)
    kinds = {"foreign": found.words, "piece": found.pieces, "byte": found.byte_strings}
    logger.info("from word lists: %s", ", ".join(f"{len(surfaces)} {kind}" for kind, surfaces in kinds.items()))
    return [Unit(surface, kind, 0) for kind, surfaces in kinds.items() for surface in surfaces]


def count_candidates(text: CodedText, params: VocabParams) -> list[Unit]:
    """Tokens, and phrases of lower-case words and of capitalised tokens, that occur often enough for their kind."""
    counts = text.counts
    lowest = min(getattr(params.min_count, kind) for kind in COUNTED_KINDS)
    candidates = np.flatnonzero(counts >= lowest)
    sorts = np.full(len(counts), -1, dtype=np.int8)
    sorts[candidates] = [classify(text.surfaces[code]) for code in candidates.tolist()]
    kinds = unit_kinds(text.surfaces, sorts)
    units = [Unit(text.surfaces[code], kinds[code], int(counts[code])) for code in candidates.tolist()]
    units = [unit for unit in units if unit.count >= getattr(params.min_count, unit.kind)]
    for kind, sort, shortest in (("ngram", TokenKind.WORD, params.ngram_min), ("entity", TokenKind.CAPITALISED, 2)):
        minimum: int = getattr(params.min_count, kind)
        lengths = count_phrases(text, sorts == sort, min_count=minimum, longest=params.ngram_max)
        for phrases in lengths[shortest - 2 :]:
            units += [Unit(surface, kind, count) for surface, count in phrase_surfaces(text.surfaces, phrases)]
    return units


def unit_kinds(surfaces: Sequence[str], sorts: npt.NDArray[np.int8]) -> dict[int, str]:
    """Kind of each token that has a sort, i.e. is a candidate; the sort of others is negative.

    A capitalised token is ``cased`` if its lower-case form is a word anywhere in the text, else an ``entity``; the
    order of rows does not matter, nor how often the word occurs.
    """
    capitalised = np.flatnonzero(sorts == int(TokenKind.CAPITALISED)).tolist()
    lowered = {code: surfaces[code].lower() for code in capitalised}
    words = {
        surface for surface in set(lowered.values()).intersection(surfaces) if classify(surface) == TokenKind.WORD
    }
    kinds = {code: "cased" if surface in words else "entity" for code, surface in lowered.items()}
    for sort, kind in _PLAIN_KINDS.items():
        kinds.update(dict.fromkeys(np.flatnonzero(sorts == int(sort)).tolist(), kind))
    return kinds


def phrase_surfaces(surfaces: Sequence[str], phrases: Phrases) -> Iterable[tuple[str, int]]:
    """Write phrases with spaces between their tokens, each with its count."""
    columns = [map(surfaces.__getitem__, column) for column in phrases.tokens.T.tolist()]
    return zip(map(" ".join, zip(*columns, strict=True)), phrases.counts.tolist(), strict=True)


def choose(candidates: Iterable[Unit], params: VocabParams) -> list[Unit]:
    """Keep the most frequent candidates of each kind, ties by surface, within thresholds and caps."""
    by_kind: dict[str, list[Unit]] = {kind: [] for kind in COUNTED_KINDS}
    for unit in candidates:
        if unit.count >= getattr(params.min_count, unit.kind) and not is_reserved(unit.surface):
            by_kind[unit.kind].append(unit)
    chosen: list[Unit] = []
    for kind, units in by_kind.items():
        units.sort(key=lambda unit: (-unit.count, unit.surface))
        chosen += units[: getattr(params.max_units, kind)]
    return chosen


def assemble(units: Iterable[Unit]) -> Lexicon:
    """Number the units: the reserved ones, then by usage, count and surface. Reserved units among ``units`` count."""
    usage = dict.fromkeys(RESERVED, 0)
    rest = []
    for unit in units:
        if unit.surface in usage:
            usage[unit.surface] = unit.usage
        else:
            rest.append(unit)
    kinds = ["control"] * len(CONTROL) + ["byte"] * len(BYTES)
    reserved = [Unit(surface, kind, 0, usage[surface]) for surface, kind in zip(RESERVED, kinds, strict=True)]
    ordered = reserved + sorted(rest, key=lambda unit: (-unit.usage, -unit.count, unit.surface))
    return Lexicon(
        surfaces=tuple(unit.surface for unit in ordered),
        kinds=tuple(unit.kind for unit in ordered),
        counts=np.array([unit.count for unit in ordered], dtype=np.int64),
        usage=np.array([unit.usage for unit in ordered], dtype=np.int64),
    )


def with_usage(
    units: Iterable[Unit], sentences: Sequence[str], label: str, mixture: Mixture | None = None
) -> tuple[Lexicon, pa.ListArray]:
    """Number the units by how often the sentences and words from lists use them, and write the sentences in them.

    Which units a sentence takes depends on their surfaces, never on their numbers, so it is segmented once, with the
    numbers of a lexicon without usage, and these are then exchanged.
    """
    before = assemble(Unit(unit.surface, unit.kind, unit.count) for unit in units)
    segments = segment_texts(before, sentences, label)
    usage = usage_of(segments, len(before))
    if mixture is not None:
        usage += expected_usage(before, mixture, int(usage.sum()))
    columns = zip(before.surfaces, before.kinds, before.counts.tolist(), usage, strict=True)
    lexicon = assemble(Unit(surface, kind, count, int(usage)) for surface, kind, count, usage in columns)
    number = np.array([lexicon.id_of[surface] for surface in before.surfaces], dtype=np.int32)
    return lexicon, pa.ListArray.from_arrays(segments.offsets, number[segments.values.to_numpy()])


def usage_of(segments: pa.ListArray, units: int) -> npt.NDArray[np.int64]:
    """Occurrences of each of V units in segmented sentences, an EOS after each counted. Shape: (V,)."""
    usage = np.bincount(segments.values.to_numpy(), minlength=units)
    usage[EOS] += len(segments)
    return usage


def _units_of(lexicon: Lexicon) -> list[Unit]:
    columns = zip(lexicon.surfaces, lexicon.kinds, lexicon.counts.tolist(), lexicon.usage.tolist(), strict=True)
    return [Unit(*row) for row in columns]


def coverage(usage: npt.NDArray[np.int64], lexicon: Lexicon, words: int) -> dict[str, float]:
    """Figures of a segmented text.

    Args:
        usage: occurrences of each unit in it. Shape: (V,).
        lexicon: the units.
        words: its white-space words.

    Returns:
        ``units_per_word`` (without EOS), and the share of units that are pieces, bytes and control units.
    """
    inner = usage.copy()
    inner[EOS] = 0
    total = int(inner.sum())
    kinds = np.array(lexicon.kinds)
    shares = {kind: float(inner[kinds == kind].sum()) / max(1, total) for kind in ("piece", "byte", "control")}
    return {"units_per_word": total / max(1, words), **{f"{kind}_share": share for kind, share in shares.items()}}


def lexicon_metrics(
    lexicon: Lexicon, texts: Mapping[str, Sequence[str]], segments: Mapping[str, pa.ListArray]
) -> dict[str, Any]:
    """Figures of the stage: units of each kind, and ``coverage`` of each split that is not empty.

    Args:
        lexicon: the units.
        texts: sentences of each split.
        segments: the same in units.
    """
    metrics: dict[str, Any] = {"units": {"total": len(lexicon), **Counter(lexicon.kinds)}}
    for split, sentences in texts.items():
        words = sum(len(sentence.split()) for sentence in sentences)
        if words:
            metrics[split] = coverage(usage_of(segments[split], len(lexicon)), lexicon, words)
    return metrics
