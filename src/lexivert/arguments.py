"""Arguments of the public calls, checked: texts, vectors, words to be left out. Every mistake is one line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from lexivert.errors import RowError
from lexivert.text.lexicon import RESERVED, Lexicon

Vectors = npt.NDArray[np.float32]
_TINY = 1.0e-6  # a part that is smaller beside the other is scaled by itself


def check_texts(texts: Any) -> list[str]:
    """Several texts as a list: of a sequence, an iterator or a pandas column.

    Raises:
        ValueError: it is one string, a table, or holds something else than strings.
    """
    return _strings("texts", "text", texts, "strings")


def _strings(name: str, one: str, values: Any, what: str) -> list[str]:
    if isinstance(values, str):
        raise ValueError(f"{name} is one string; give a list of {what}")  # noqa: TRY004 documented as ValueError
    if not isinstance(values, Iterable) or isinstance(values, bytes):
        raise ValueError(f"{name} is of type {type(values).__name__}; give a list of {what}")  # noqa: TRY004
    if hasattr(values, "columns"):  # iterating over a table gives the names of its columns
        raise ValueError(f"{name} is a table; give one of its columns")
    listed = list(values)
    for row, value in enumerate(listed):
        if not isinstance(value, str):
            raise RowError(one, row, f"is of type {type(value).__name__}; give strings")
    return listed


def check_vectors(vectors: Any, embed_dim: int, semantic_width: int) -> Vectors:
    """Vectors as float32 of width D, the order part zero where it was left out; of any positive length.

    Args:
        vectors: an array, nested lists, or a pandas column of vectors. Shape: (B, D) or (B, S).
        embed_dim: D.
        semantic_width: S.

    Tiny or huge numbers are scaled so that they stay finite and above zero, both parts alike if they can be.
    Shape: (B, D).

    Raises:
        ValueError: wrong shape, or no real numbers.
        RowError: a vector is zero or holds NaN or infinity.
    """
    array = _array(vectors, embed_dim)
    if array.ndim != 2 or array.shape[1] not in {embed_dim, semantic_width}:
        message = f"(B, {embed_dim}) is needed, or (B, {semantic_width}) for semantic prefixes alone"
        raise ValueError(f"vectors have shape {array.shape}; {message}")
    if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
        raise ValueError(f"vectors are of type {array.dtype}; real numbers are needed")
    wide = array.astype(np.float64)
    bad = ~np.isfinite(wide).all(axis=1)
    if bad.any():
        raise RowError("vector", int(bad.argmax()), "holds NaN or infinity")
    empty = ~wide.any(axis=1)
    if empty.any():
        raise RowError("vector", int(empty.argmax()), "is zero; there is nothing to read back")
    wide = np.pad(wide, ((0, 0), (0, embed_dim - wide.shape[1])))
    wide /= np.abs(wide).max(axis=1, keepdims=True)
    for part in (slice(semantic_width), slice(semantic_width, None)):
        largest = np.abs(wide[:, part]).max(axis=1, keepdims=True)
        wide[:, part] *= np.where((largest > 0) & (largest < _TINY), _TINY / np.where(largest > 0, largest, 1.0), 1.0)
    return wide.astype(np.float32)


def _array(vectors: Any, embed_dim: int) -> npt.NDArray[Any]:
    try:
        array = np.asarray(vectors)
        if array.dtype == object and array.ndim == 1:  # a column of vectors
            array = np.stack([np.asarray(row) for row in array]) if len(array) else np.empty((0, embed_dim))
    except (TypeError, ValueError) as error:
        raise ValueError("vectors are no array of numbers, or of different widths") from error
    return array


def banned_units(words: Any, lexicon: Lexicon) -> list[int]:
    """Units that have one of some words as a word of their own, in any casing.

    Raises:
        ValueError: ``words`` is no list of strings, or a word is several, or in no unit, so that it had no effect.
    """
    if isinstance(words, str):
        raise ValueError("banned is one string; give a list of words")  # noqa: TRY004 documented as ValueError
    wanted = {word.casefold(): word for word in _strings("banned", "banned word", words, "words")}
    if not wanted:
        return []
    for word in wanted.values():
        if len(word.split()) != 1:
            reason = "is empty" if not word.strip() else "is several words; ban one of them"
            raise ValueError(f"banned word {word!r} {reason}")
    units, met = [], set()
    for unit, surface in enumerate(lexicon.surfaces[len(RESERVED) :], start=len(RESERVED)):
        found = wanted.keys() & surface.casefold().split()
        if found:
            units.append(unit)
            met |= found
    if missed := [word for key, word in wanted.items() if key not in met]:
        raise ValueError(f"banned word {missed[0]!r} is no word of any unit, so banning it has no effect")
    return units
