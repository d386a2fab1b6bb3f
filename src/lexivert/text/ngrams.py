"""N-gram counting: exact counts of tokens and phrases over integer-coded text.

Phrases grow a word at a time: an n-gram can only be frequent if both of its (n-1)-grams are (the Apriori property,
Agrawal & Srikant 1994), so at each length only positions that begin two overlapping frequent phrases are looked at.
A phrase of length n is the pair (number of its first n-1 words, number of its last n-1 words), one 64-bit key; Arrow
counts equal keys. The counts are exact.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lexivert.text.tokenizer import normalize, split_chunk
from lexivert.text.wikitext import SIGNS, looks_like_wikitext, tokenize_wikitext

Codes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

BREAK = -1
"""Code between two rows."""
_BATCH_CHARACTERS = 1 << 22
"""Text coded at once."""
_BLOCK = 1 << 22
"""Codes counted at once."""


@dataclass(frozen=True)
class CodedText:
    """Rows of tokens as one stream of integers.

    Attributes:
        codes: index into ``surfaces`` of every token, ``BREAK`` after each row.
        surfaces: the distinct tokens, in order of first sight.
    """

    codes: Codes
    surfaces: list[str]

    @cached_property
    def counts(self) -> Counts:
        """Occurrences of each of ``surfaces``."""
        total = np.zeros(len(self.surfaces), dtype=np.int64)
        for start in range(0, len(self.codes), _BLOCK):
            block = self.codes[start : start + _BLOCK]
            total += np.bincount(block[block >= 0], minlength=len(total))
        return total


@dataclass(frozen=True)
class Phrases:
    """Frequent phrases of one length n.

    Attributes:
        tokens: token codes, a row of n a phrase.
        counts: occurrences of each, overlapping ones included.
    """

    tokens: Codes
    counts: Counts


@dataclass(frozen=True)
class _Cut:
    """Rows cut at white space.

    Attributes:
        rows: as given.
        ids: index into ``chunks`` of every chunk of every row, ``_ROW_END`` after each row.
        chunks: the distinct chunks.
    """

    rows: Sequence[str]
    ids: Codes
    chunks: list[str]

    @classmethod
    def of(cls, rows: Sequence[str]) -> _Cut:
        # printable ASCII has no white space but the blank, so that Arrow's cut is that of str.split
        normal = [row if row.isascii() and row.isprintable() else normalize(row) for row in rows]
        everything = pa.array([f" {_ROW_END} ".join([*normal, ""])], pa.large_string())
        encoded = pc.ascii_split_whitespace(everything).flatten().dictionary_encode()
        return cls(rows, encoded.indices.to_numpy(), encoded.dictionary.to_pylist())

    def wikitext_rows(self) -> list[int]:
        """Rows in WikiText's convention; only those with one of its signs for a chunk are looked at."""
        signs = [number for number, chunk in enumerate(self.chunks) if chunk in SIGNS]
        if not signs:
            return []
        suspects = np.unique(self._row_of_chunk()[np.isin(self.ids, signs)])
        return [row for row in suspects.tolist() if looks_like_wikitext(self.rows[row])]

    def without(self, rows: Sequence[int]) -> _Cut:
        """The same without some rows, and without the chunks that stand in no other."""
        used, ids = np.unique(self.ids[~np.isin(self._row_of_chunk(), rows)], return_inverse=True)
        kept = set(range(len(self.rows))).difference(rows)
        return _Cut(
            [self.rows[row] for row in sorted(kept)],
            ids.astype(np.int32),
            [self.chunks[chunk] for chunk in used.tolist()],
        )

    def _row_of_chunk(self) -> Counts:
        ends = self.ids == self.chunks.index(_ROW_END)
        row: Counts = np.cumsum(ends) - ends
        return row


class _Coder:
    """Growing table of token codes, and of the codes that each white-space chunk consists of.

    A batch is cut into chunks and its distinct chunks are found by Arrow; Python sees each of them once a batch and
    splits it into tokens once for all.
    """

    def __init__(self) -> None:
        self.code_of: dict[str, int] = {}
        split_uncached: Callable[[str], tuple[str, ...]] = split_chunk.__wrapped__  # we ask once a chunk
        self._plain = _Chunks(self.code_of, split_uncached)
        self._spaced = _Chunks(self.code_of, lambda surface: (surface,) if surface else ())

    def codes(self, cut: _Cut) -> Codes:
        """Token codes of a batch of rows; rows in WikiText's convention come after the others."""
        wikitext = cut.wikitext_rows()
        if not wikitext:
            return self._plain.take(cut)
        spaced = _Cut.of([" ".join(tokenize_wikitext(cut.rows[row])) for row in wikitext])
        return np.concatenate([self._plain.take(cut.without(wikitext)), self._spaced.take(spaced)])


class _Chunks(dict[str, int]):
    """Where each chunk's token codes begin; an unknown chunk is split, and its new tokens get the next codes.

    Flat arrays of numbers, because a list a chunk would keep the garbage collector busy.
    """

    def __init__(self, code_of: dict[str, int], split: Callable[[str], tuple[str, ...]]) -> None:
        super().__init__({_ROW_END: 0})
        self._code_of, self._split = code_of, split
        self.codes = array("i", [BREAK])
        self.ends = array("i", [1])

    def __missing__(self, chunk: str) -> int:
        code_of = self._code_of
        if chunk.isalpha() and chunk.isascii():
            self.codes.append(code_of.setdefault(chunk, len(code_of)))
        else:
            self.codes.extend([code_of.setdefault(surface, len(code_of)) for surface in self._split(chunk)])
        self[chunk] = identity = len(self.ends)
        self.ends.append(len(self.codes))
        return identity

    def take(self, cut: _Cut) -> Codes:
        """Token codes of all its chunks."""
        own = np.fromiter(map(self.__getitem__, cut.chunks), dtype=np.int32, count=len(cut.chunks))
        ends = np.frombuffer(self.ends, dtype=np.int32)
        lengths = np.diff(ends, prepend=np.int32(0))
        return _ragged_take(np.frombuffer(self.codes, dtype=np.int32), ends - lengths, lengths, own[cut.ids])


_ROW_END = "\x1c"
"""Arrow takes this white-space character for a chunk, and no normalised text has it."""


def _ragged_take(values: Codes, starts: Codes, lengths: Codes, ids: Codes) -> Codes:
    """Concatenate ``values[starts[i] : starts[i] + lengths[i]]`` over ``ids``."""
    counts = lengths[ids]
    ends = np.cumsum(counts, dtype=np.int32)
    places = np.repeat(starts[ids] - ends + counts, counts)
    places += np.arange(len(places), dtype=np.int32)
    taken: Codes = values[places]
    return taken


def _take(rows: Iterator[str], characters: int) -> list[str]:
    """The next rows, until they have ``characters`` or more."""
    taken: list[str] = []
    for row in rows:
        taken.append(row)
        characters -= len(row) + 1
        if characters <= 0:
            break
    return taken


def encode_texts(texts: Iterable[str]) -> CodedText:
    """Tokenise rows of text, each in its own convention, and code the tokens. Rows may change places.

    Raises:
        ValueError: see ``normalize``.
    """
    coder = _Coder()
    parts = [np.empty(0, dtype=np.int32), *(coder.codes(cut) for cut in _cut_ahead(iter(texts)))]
    return CodedText(np.concatenate(parts), list(coder.code_of))


def _cut_ahead(rows: Iterator[str]) -> Iterator[_Cut]:
    """Cut batches of rows, each in a second thread while the one before is coded: Arrow works beside Python."""
    with ThreadPoolExecutor(1) as second:
        waiting = second.submit(_Cut.of, _take(rows, _BATCH_CHARACTERS))
        while (cut := waiting.result()).rows:
            waiting = second.submit(_Cut.of, _take(rows, _BATCH_CHARACTERS))
            yield cut


def count_phrases(text: CodedText, eligible: npt.NDArray[np.bool_], *, min_count: int, longest: int) -> list[Phrases]:
    """Count the phrases of 2 to ``longest`` consecutive eligible tokens that occur at least ``min_count`` times.

    Args:
        text: the rows; phrases never cross a row's end.
        eligible: tokens that may be part of a phrase, a value for each of ``text.surfaces``.
        min_count: fewest occurrences.
        longest: longest phrase in tokens.

    Returns:
        One item a length from 2 on, phrases in no particular order; stops early where none is frequent.
    """
    frequent = np.flatnonzero(eligible & (text.counts >= min_count)).astype(np.int32)
    number = np.full(len(text.surfaces) + 1, -1, dtype=np.int32)  # the last entry serves BREAK == -1
    number[frequent] = np.arange(len(frequent), dtype=np.int32)
    begins = _frequent_places(number[text.codes])
    tokens = frequent[:, None]
    lengths: list[Phrases] = []
    for _ in range(2, longest + 1):
        begins, pairs, counts = _longer(begins, len(tokens), min_count)
        if not len(pairs):
            break
        left, right = np.divmod(pairs, len(tokens))
        tokens = np.concatenate([tokens[left], tokens[right, -1:]], axis=1)
        lengths.append(Phrases(tokens, counts))
    return lengths


class _Begins(NamedTuple):
    """Where frequent phrases of one length begin: ascending places in the text, and the number of each's phrase."""

    places: npt.NDArray[np.signedinteger[Any]]
    numbers: Codes


def _frequent_places(numbers: Codes) -> _Begins:
    """Places whose number is not -1."""
    places = np.flatnonzero(numbers >= 0)
    return _Begins(places.astype(np.int32 if len(numbers) < 1 << 31 else np.int64), numbers[places])


def _longer(begins: _Begins, size: int, min_count: int) -> tuple[_Begins, Counts, Counts]:
    """Number the pairs of overlapping phrases that occur often enough.

    Args:
        begins: where the frequent phrases of a length begin.
        size: how many such phrases there are.
        min_count: fewest occurrences of a pair.

    Returns:
        Where the frequent pairs begin; each such pair, ``first * size + second``; how often it occurs.
    """
    first = np.flatnonzero(begins.places[1:] == begins.places[:-1] + 1)
    keys = begins.numbers[first].astype(np.int64)
    keys *= size
    keys += begins.numbers[first + 1]
    distinct = pa.array(keys).dictionary_encode()  # exact, by a hash table; half the time of sorting
    del keys
    own = distinct.indices.to_numpy()
    counts = np.bincount(own, minlength=len(distinct.dictionary))
    frequent = counts >= min_count
    number = np.where(frequent, np.cumsum(frequent) - 1, -1).astype(np.int32)
    kept = _frequent_places(number[own])
    pairs = distinct.dictionary.to_numpy()[frequent]
    return _Begins(begins.places[first[kept.places]], kept.numbers), pairs, counts[frequent]
