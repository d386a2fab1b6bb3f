"""N-gram counting: exact counts of tokens and phrases over integer-coded text.

Phrases grow a word at a time: an n-gram can only be frequent if both of its (n-1)-grams are (the Apriori property,
Agrawal & Srikant 1994), so at each length only positions that begin two overlapping frequent phrases are looked at.
A phrase of length n is the pair (id of its first n-1 words, id of its last n-1 words), one 64-bit key; equal keys are
counted by sorting. Nothing is hashed away: the counts are exact.
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
"""Positions handled at once."""
_BLOCKS_KEPT = 4
"""Blocks worked out once and kept (400 MB at most); those of longer texts are worked out for every pass."""
_MOST_BUCKET_BITS = 24
KEY_BUDGET = 1 << 25
"""Keys sorted at once (about 1 GB with their places); more are counted in passes over disjoint sets of keys."""


@dataclass(frozen=True)
class CodedText:
    """Rows of tokens as one stream of integers.

    Attributes:
        codes: (N,) index into ``surfaces``, ``BREAK`` after each row.
        surfaces: the T distinct tokens, in order of first sight.
    """

    codes: Codes
    surfaces: list[str]

    @cached_property
    def counts(self) -> Counts:
        """Occurrences of each token. Shape: (T,)."""
        total = np.zeros(len(self.surfaces), dtype=np.int64)
        for start in range(0, len(self.codes), _BLOCK):
            block = self.codes[start : start + _BLOCK]
            total += np.bincount(block[block >= 0], minlength=len(total))
        return total


@dataclass(frozen=True)
class Phrases:
    """Frequent phrases of one length n.

    Attributes:
        tokens: (M, n) token codes.
        counts: (M,) occurrences, overlapping ones included.
    """

    tokens: Codes
    counts: Counts


@dataclass(frozen=True)
class _Cut:
    """Rows cut at white space.

    Attributes:
        rows: as given.
        ids: (M,) index into ``chunks`` of every chunk of every row, ``_ROW_END`` after each row.
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


def count_phrases(
    text: CodedText,
    eligible: npt.NDArray[np.bool_],
    *,
    min_count: int,
    longest: int,
    key_budget: int = KEY_BUDGET,
) -> list[Phrases]:
    """Count the phrases of 2 to ``longest`` consecutive eligible tokens that occur at least ``min_count`` times.

    Memory is at most 28 bytes a token, some 32 for each of at most ``key_budget`` keys, and a table of 128 MB.

    Args:
        text: the rows; phrases never cross a row's end.
        eligible: (T,) tokens that may be part of a phrase.
        min_count: fewest occurrences.
        longest: longest phrase in tokens.
        key_budget: keys sorted at once.

    Returns:
        One item a length from 2 on, phrases in no particular order; stops early where none is frequent.
    """
    frequent = np.flatnonzero(eligible & (text.counts >= min_count)).astype(np.int32)
    begins = _Begins.of_tokens(text, frequent)
    tokens = frequent[:, None]
    lengths: list[Phrases] = []
    for _ in range(2, longest + 1):
        begins, keys, counts = _longer_phrases(begins, _PairKeys(begins, len(tokens), min_count), key_budget)
        if not len(keys):
            break
        left, right = np.divmod(keys, len(tokens))
        tokens = np.concatenate([tokens[left], tokens[right, -1:]], axis=1)
        lengths.append(Phrases(tokens, counts))
    return lengths


@dataclass(frozen=True)
class _Begins:
    """Where frequent phrases of one length begin.

    Attributes:
        positions: ascending places in the text. Shape: (P,).
        ids: number of the phrase that begins there. Shape: (P,) int32.
    """

    positions: npt.NDArray[np.signedinteger[Any]]
    ids: Codes

    @classmethod
    def of_tokens(cls, text: CodedText, frequent: Codes) -> _Begins:
        """Number the frequent tokens from 0 and find their occurrences."""
        number = np.full(len(text.surfaces) + 1, -1, dtype=np.int32)  # the last entry serves BREAK == -1
        number[frequent] = np.arange(len(frequent), dtype=np.int32)
        narrow = np.int32 if len(text.codes) < 1 << 31 else np.int64
        parts = [(np.empty(0, dtype=narrow), np.empty(0, dtype=np.int32))]
        for start in range(0, len(text.codes), _BLOCK):
            ids = number[text.codes[start : start + _BLOCK]]
            places = np.flatnonzero(ids >= 0)
            parts.append(((places + start).astype(narrow), ids[places]))
        return cls(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _Block(NamedTuple):
    """Places where two phrases overlap: their rows of ``_Begins``, keys and hash buckets, P of each."""

    rows: npt.NDArray[np.intp]
    keys: Counts
    buckets: npt.NDArray[np.int64]


class _PairKeys:
    """Keys of the places where two frequent phrases of length n-1 overlap, block by block.

    Keys are first counted in a table of hash buckets; a key whose entire bucket is rare is rare itself and left
    out (Park, Chen & Yu 1995). That spares most of the sorting and searching, and no frequent key is lost.
    """

    def __init__(self, begins: _Begins, base: int, min_count: int) -> None:
        self._begins, self._base, self.min_count = begins, base, min_count
        bits = min(max(len(begins.ids).bit_length(), 8), _MOST_BUCKET_BITS)
        table = np.zeros(1 << bits, dtype=np.int64)
        self._shift = np.uint64(64 - bits)
        self._kept: list[_Block] = []
        for start in range(0, len(begins.ids), _BLOCK):
            block = self._block(start)
            table += np.bincount(block.buckets, minlength=len(table))
            if start < _BLOCKS_KEPT * _BLOCK:
                self._kept.append(block)
        self._frequent_bucket = table >= min_count
        self.size = int(table[self._frequent_bucket].sum())

    def _block(self, start: int) -> _Block:
        positions = self._begins.positions[start : start + _BLOCK + 1]
        ids = self._begins.ids[start : start + _BLOCK + 1]
        rows = np.flatnonzero(positions[1:] == positions[:-1] + 1)
        keys = ids[rows].astype(np.int64)
        keys *= self._base
        keys += ids[rows + 1]
        buckets = keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)  # multiplicative hash (Knuth)
        buckets >>= self._shift
        return _Block(rows + start, keys, buckets.view(np.int64))

    def all(self, residue: int, passes: int) -> tuple[npt.NDArray[np.intp], Counts]:
        """Rows and keys that may be frequent, of those keys that have this residue modulo ``passes``."""
        parts = [(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int64))]
        for number, start in enumerate(range(0, len(self._begins.ids), _BLOCK)):
            block = self._kept[number] if number < len(self._kept) else self._block(start)
            wanted = self._frequent_bucket[block.buckets]
            if passes > 1:
                wanted &= block.keys % passes == residue
            parts.append((block.rows[wanted], block.keys[wanted]))
        rows, keys = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        return rows, keys


def _longer_phrases(begins: _Begins, pairs: _PairKeys, budget: int) -> tuple[_Begins, Counts, Counts]:
    """Number the keys that occur often enough.

    Returns:
        Where their phrases begin; the key of each number, (M,); its count, (M,).
    """
    ids = np.full(len(begins.ids), -1, dtype=np.int32)
    found: list[tuple[Counts, Counts]] = []
    known = 0
    passes = max(1, -(-pairs.size // budget))
    for residue in range(passes):
        rows, keys = pairs.all(residue, passes)
        order = np.argsort(keys)
        rows, keys = rows[order], keys[order]
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))  # keys are not negative
        counts = np.diff(firsts, append=len(keys))
        frequent = counts >= pairs.min_count
        numbers = np.where(frequent, known + np.cumsum(frequent) - 1, -1)
        ids[rows] = np.repeat(numbers, counts)
        found.append((keys[firsts[frequent]], counts[frequent]))
        known += len(found[-1][0])
    kept = np.flatnonzero(ids >= 0)
    frequent_keys, frequent_counts = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return _Begins(begins.positions[kept], ids[kept]), frequent_keys, frequent_counts
