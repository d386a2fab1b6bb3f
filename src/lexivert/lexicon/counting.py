"""Exact counts of tokens and phrases over integer-coded text.

Phrases grow a word at a time: an n-gram can only be frequent if both of its (n-1)-grams are (the Apriori property,
Agrawal & Srikant 1994), so at each length only positions that begin two overlapping frequent phrases are looked at.
A phrase of length n is the pair (id of its first n-1 words, id of its last n-1 words), one 64-bit key; equal keys are
counted by sorting. Nothing is hashed away: the counts are exact.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lexivert.lexicon.tokenizing import looks_like_wikitext, normalize, split_chunk, tokenize_wikitext

Codes = npt.NDArray[np.int32]
Counts = npt.NDArray[np.int64]

BREAK = -1
"""Code between two rows."""
_BATCH_CHARACTERS = 1 << 22
"""Text coded at once."""
_BLOCK = 1 << 22
"""Positions handled at once."""
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


class _Coder:
    """Growing table of token codes, and of the codes that each white-space chunk consists of.

    A batch is cut into chunks and its distinct chunks are found by Arrow; Python sees each of them once a batch and
    splits it into tokens once for all.
    """

    def __init__(self) -> None:
        self.code_of: dict[str, int] = {}
        self._plain = _Chunks(self.code_of, split_chunk)
        self._spaced = _Chunks(self.code_of, lambda surface: (surface,) if surface else ())

    def codes(self, texts: Iterable[str]) -> Codes:
        """Token codes of a batch of rows; rows in WikiText's convention come after the others."""
        plain: list[str] = []
        spaced: list[str] = []
        for text in texts:
            if looks_like_wikitext(text):
                spaced.append(" ".join(tokenize_wikitext(text)))
            else:
                # printable ASCII has no white space but the blank, so that Arrow's cut is that of str.split
                plain.append(text if text.isascii() and text.isprintable() else normalize(text))
        return np.concatenate([_expand(plain, self._plain), _expand(spaced, self._spaced)])


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

    def take(self, ids: Codes) -> Codes:
        """Token codes of a sequence of chunks."""
        ends = np.frombuffer(self.ends, dtype=np.int32)
        lengths = np.diff(ends, prepend=np.int32(0))
        return _ragged_take(np.frombuffer(self.codes, dtype=np.int32), ends - lengths, lengths, ids)


_ROW_END = "\x1c"
"""Arrow takes this white-space character for a chunk, and no normalised text holds it."""


def _expand(texts: list[str], known: _Chunks) -> Codes:
    """Cut rows at blanks and replace each chunk by its token codes, each row's end by ``BREAK``."""
    if not texts:
        return np.empty(0, dtype=np.int32)
    rows = pc.ascii_split_whitespace(pa.array([f"{text} {_ROW_END}" for text in texts])).flatten()
    chunks = rows.dictionary_encode()
    distinct = chunks.dictionary.to_pylist()
    ids = np.fromiter(map(known.__getitem__, distinct), dtype=np.int32, count=len(distinct))
    return known.take(ids[chunks.indices.to_numpy()])


def _ragged_take(values: Codes, starts: Codes, lengths: Codes, ids: Codes) -> Codes:
    """Concatenate ``values[starts[i] : starts[i] + lengths[i]]`` over ``ids``."""
    counts = lengths[ids]
    ends = np.cumsum(counts, dtype=np.int32)
    places = np.repeat(starts[ids] - ends + counts, counts)
    places += np.arange(len(places), dtype=np.int32)
    taken: Codes = values[places]
    return taken


def _take(rows: Iterator[str], characters: int) -> list[str]:
    """The next rows, until they hold ``characters`` or more."""
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
        ValueError: see ``tokenizing.normalize``.
    """
    coder = _Coder()
    rows = iter(texts)
    parts = [np.empty(0, dtype=np.int32)]
    while batch := _take(rows, _BATCH_CHARACTERS):
        parts.append(coder.codes(batch))
    return CodedText(np.concatenate(parts), list(coder.code_of))


def count_phrases(
    text: CodedText,
    eligible: npt.NDArray[np.bool_],
    *,
    min_count: int,
    longest: int,
    key_budget: int = KEY_BUDGET,
) -> list[Phrases]:
    """Count the phrases of 2 to ``longest`` consecutive eligible tokens that occur at least ``min_count`` times.

    Memory is 12 bytes a token, some 32 for each of at most ``key_budget`` keys, and a table of at most 128 MB.

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
    ids = _phrase_starts(text, frequent)
    tokens = frequent[:, None]
    lengths: list[Phrases] = []
    for _ in range(2, longest + 1):
        pairs = _PairKeys(ids, len(tokens), min_count)
        ids, keys, counts = _longer_phrases(pairs, len(ids), min_count, key_budget)
        if not len(keys):
            break
        left, right = np.divmod(keys, len(tokens))
        tokens = np.concatenate([tokens[left], tokens[right, -1:]], axis=1)
        lengths.append(Phrases(tokens, counts))
    return lengths


def _phrase_starts(text: CodedText, frequent: Codes) -> Codes:
    """Number the occurrences of frequent tokens 0, 1, … and mark all else -1. Shape: (N,)."""
    number = np.full(len(text.surfaces) + 1, -1, dtype=np.int32)  # the last entry serves BREAK == -1
    number[frequent] = np.arange(len(frequent), dtype=np.int32)
    starts: Codes = number[text.codes]
    return starts


class _PairKeys:
    """Keys of the places where two frequent phrases of length n-1 overlap, block by block.

    Keys are first counted in a table of hash buckets; a key whose bucket as a whole is rare is rare itself and left
    out (Park, Chen & Yu 1995). That spares most of the sorting and searching, and no frequent key is lost.
    """

    def __init__(self, ids: Codes, base: int, min_count: int) -> None:
        self._ids, self._base = ids, base
        self._shift = np.uint64(64)
        self._frequent_bucket: npt.NDArray[np.bool_] | None = None
        places = int(np.count_nonzero((ids[:-1] >= 0) & (ids[1:] >= 0)))
        bits = min(max(places.bit_length(), 8), _MOST_BUCKET_BITS)
        table = np.zeros(1 << bits, dtype=np.int64)
        self._shift -= np.uint64(bits)
        for start in range(0, len(ids), _BLOCK):
            table += np.bincount(self._buckets(self.block(start)[1]), minlength=len(table))
        self._frequent_bucket = table >= min_count
        self.size = int(table[self._frequent_bucket].sum())

    def block(self, start: int) -> tuple[npt.NDArray[np.intp], Counts]:
        """Positions in the block from ``start`` whose key may be frequent, and their keys."""
        block = self._ids[start : start + _BLOCK + 1]
        positions = np.flatnonzero((block[:-1] >= 0) & (block[1:] >= 0))
        keys = block[positions].astype(np.int64)
        keys *= self._base
        keys += block[positions + 1]
        if self._frequent_bucket is not None:
            kept = self._frequent_bucket[self._buckets(keys)]
            positions, keys = positions[kept], keys[kept]
        return positions + start, keys

    def all(self, residue: int, passes: int) -> tuple[npt.NDArray[np.intp], Counts]:
        """Positions and keys of the whole text, of those keys that have this residue modulo ``passes``."""
        blocks = [(np.empty(0, dtype=np.intp), np.empty(0, dtype=np.int64))]
        for start in range(0, len(self._ids), _BLOCK):
            positions, keys = self.block(start)
            wanted = keys % passes == residue if passes > 1 else slice(None)
            blocks.append((positions[wanted], keys[wanted]))
        positions, keys = (np.concatenate(columns) for columns in zip(*blocks, strict=True))
        return positions, keys

    def _buckets(self, keys: Counts) -> npt.NDArray[np.int64]:
        """Multiplicative hash (Knuth) of each key."""
        hashed = keys.view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        hashed >>= self._shift
        return hashed.view(np.int64)


def _longer_phrases(
    pairs: _PairKeys, length: int, min_count: int, budget: int
) -> tuple[Codes, npt.NDArray[np.int64], Counts]:
    """Number the keys that occur at least ``min_count`` times.

    Returns:
        The number of the phrase that begins at each place or -1, (N,); the key of each number, (M,); its count, (M,).
    """
    ids = np.full(length, -1, dtype=np.int32)
    found: list[tuple[Counts, Counts]] = []
    known = 0
    passes = max(1, -(-pairs.size // budget))
    for residue in range(passes):
        positions, keys = pairs.all(residue, passes)
        order = np.argsort(keys)
        positions, keys = positions[order], keys[order]
        begins = np.flatnonzero(np.diff(keys, prepend=-1))  # keys are not negative
        counts = np.diff(begins, append=len(keys))
        frequent = counts >= min_count
        numbers = np.where(frequent, known + np.cumsum(frequent) - 1, -1)
        ids[positions] = np.repeat(numbers, counts)
        found.append((keys[begins[frequent]], counts[frequent]))
        known += len(found[-1][0])
    frequent_keys, frequent_counts = (np.concatenate(columns) for columns in zip(*found, strict=True))
    return ids, frequent_keys, frequent_counts
