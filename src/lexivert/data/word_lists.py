"""Word frequencies of some 40 languages: the lists that package ``wordfreq`` carries (Speer 2022), read as data.

A list is a gzip file in MessagePack's format, of which it needs four types: after a header that says ``cB`` come
arrays of words, the i-th with those of frequency 10^(-i/100), highest first. The words are case-folded.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lexivert.artifacts import Paths, require
from lexivert.errors import DamagedArtifactError

HEADER = {"format": "cB", "version": 1}
_FINAL_SIGMA = {"el"}
"""Languages that end a word in another letter than case folding leaves: σ for ς."""


def read_word_lists(paths: Paths, languages: Sequence[str]) -> dict[str, dict[str, float]]:
    """Frequencies of words, between 0 and 1 and highest first, by language.

    Raises:
        MissingArtifactError, DamagedArtifactError: a list is not there or can't be read.
    """
    return {
        language: _read_list(paths.word_lists / f"small_{language}.msgpack.gz", language) for language in languages
    }


def _read_list(path: Path, language: str) -> dict[str, float]:
    try:
        header, *groups = unpack(gzip.decompress(require(path).read_bytes()))
    except (OSError, EOFError, zlib.error, ValueError, TypeError) as error:
        raise DamagedArtifactError(f"{path} can't be read ({error}); run `dvc repro -f fetch`") from error
    if header != HEADER:
        raise DamagedArtifactError(f"{path} is no word list; run `dvc repro -f fetch`")
    frequencies = {word: 10.0 ** (-place / 100.0) for place, words in enumerate(groups) for word in words}
    if language in _FINAL_SIGMA:
        return {word[:-1] + "ς" if len(word) > 1 and word[-1] == "σ" else word: n for word, n in frequencies.items()}
    return frequencies


def unpack(packed: bytes) -> Any:
    """Decode MessagePack's maps, arrays, strings and small integers.

    Raises:
        ValueError: there is another type, or the bytes end early or late.
    """
    reader = _Reader(packed)
    value = reader.value()
    if reader.place != len(packed):
        raise ValueError(f"{len(packed) - reader.place} bytes too many")
    return value


class _Reader:
    """A walk over packed bytes."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self.place = 0

    def value(self) -> Any:
        """The next value."""
        (code,) = self._take(1)
        if code < 0x80:
            return code
        if code < 0x90:
            return {self.value(): self.value() for _ in range(code & 0x0F)}
        if code < 0xA0:
            return [self.value() for _ in range(code & 0x0F)]
        if code < 0xC0:
            return self._take(code & 0x1F).decode()
        if code in {0xD9, 0xDA, 0xDB}:
            return self._take(self._number(1 << (code - 0xD9))).decode()
        if code in {0xDC, 0xDD}:
            return [self.value() for _ in range(self._number(2 << (code - 0xDC)))]
        raise ValueError(f"type 0x{code:02X} at byte {self.place - 1} is not read")

    def _number(self, width: int) -> int:
        return int.from_bytes(self._take(width), "big")

    def _take(self, count: int) -> bytes:
        taken = self._packed[self.place : self.place + count]
        if len(taken) < count:
            raise ValueError(f"the bytes end after {len(self._packed)}")
        self.place += count
        return taken
