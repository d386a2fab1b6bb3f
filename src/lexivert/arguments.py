"""Arguments of the public calls, checked: texts, vectors, banned words. Every mistake is one line with its place."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lexivert.controller.controller import DRAFT, EFFORTS, Effort
from lexivert.errors import RowError
from lexivert.text.banned import letters_of
from lexivert.text.tokenizer import normalize

Vectors = npt.NDArray[np.float32]
_TINY = 1.0e-6  # a part that is smaller beside the other is scaled by itself
_TEXT_COLUMNS, _VECTOR_COLUMNS = ("text", "sentence"), ("vector", "embedding")
"""Columns that the argument is likely to stand in, where a table was given for it."""


def check_texts(texts: Any) -> list[str]:
    """Several texts as a list: of a sequence, an iterator or a column of a table.

    Raises:
        ValueError: it is one string, a table or mapping, has no order, or holds something else than strings.
    """
    return check_strings("texts", "text", texts, "strings", ordered=True)


def check_banned(banned: Any) -> list[str]:
    """Words and phrases as ``normalize`` leaves them.

    Raises:
        ValueError: ``banned`` is one string, a table, or no list.
        RowError: an entry is no string, holds a lone surrogate, or nothing that is seen.
    """
    entries = []
    for row, given in enumerate(check_strings("banned", "banned word", banned, "words and phrases", ordered=False)):
        try:
            entries.append(normalize(given))
        except ValueError as error:
            raise RowError("banned word", row, str(error).removeprefix("text ")) from error
        if not letters_of(entries[-1]):
            raise RowError("banned word", row, f"is {given!r:.40}, which holds nothing to be banned")
    return entries


def check_effort(effort: Any, name: str = "effort") -> Effort:
    """How far reading or writing goes.

    Args:
        effort: one of ``EFFORTS``.
        name: that it is given by, for messages.

    Raises:
        ValueError: it is none of ``EFFORTS``.
    """
    for known in EFFORTS:
        if effort == known:
            return known
    raise ValueError(f"{name} is {effort!r}; give one of {', '.join(EFFORTS)}")


def check_seconds(
    seconds: Any, effort: Effort, name: str = "max_seconds", effort_name: str = "effort"
) -> float | None:
    """Seconds a text, or None.

    Args:
        seconds: to be checked.
        effort: that they limit.
        name: that they are given by, for messages.
        effort_name: that the effort is given by.

    Raises:
        ValueError: it is no finite number above 0, or there is no search that they could limit, as with effort draft.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0.0 < seconds < float("inf"):
        raise ValueError(f"{name} is {seconds!r}; give a finite number above 0")
    if effort == DRAFT:
        raise ValueError(f"{name} needs {effort_name} normal or high")
    return float(seconds)


def check_text(text: Any, name: str = "text") -> str:
    """One text.

    Raises:
        ValueError: it is no string.
    """
    if not isinstance(text, str):
        raise ValueError(f"{name} {_unlike_string(text)}; give a string")  # noqa: TRY004 documented as ValueError
    return text


def check_strings(name: str, one: str, values: Any, what: str, *, ordered: bool) -> list[str]:
    """Several strings as a list.

    Args:
        name: of the argument.
        one: what one of them is called.
        values: the argument.
        what: what they are called.
        ordered: whether their order matters, so that a set is refused.

    Raises:
        ValueError: see ``check_texts``.
    """
    if isinstance(values, str):
        raise ValueError(f"{name} is one string; give a list of {what}")  # noqa: TRY004 documented as ValueError
    refuse_table(name, values, _TEXT_COLUMNS)
    if ordered and isinstance(values, set | frozenset):
        raise ValueError(f"{name} is a {type(values).__name__}, which has no order; give a list of {what}")
    values = (
        values.to_pylist() if hasattr(values, "to_pylist") else values
    )  # pyarrow's columns hold no Python strings
    if not isinstance(values, Iterable) or isinstance(values, bytes | bytearray | memoryview):
        raise ValueError(f"{name} is of type {type(values).__name__}; give a list of {what}")  # noqa: TRY004
    if (
        isinstance(values, np.ndarray | torch.Tensor) and not values.ndim
    ):  # one value, which only claims to be iterable
        raise ValueError(f"{name} is a single value; give a list of {what}")
    listed = list(values)
    for row, value in enumerate(listed):
        if not isinstance(value, str):
            raise RowError(one, row, f"{_unlike_string(value)}; give strings")
    return listed


def _unlike_string(value: Any) -> str:
    return "is None" if value is None else f"is of type {type(value).__name__}"


def refuse_table(name: str, value: Any, likely: Sequence[str] = _TEXT_COLUMNS) -> None:
    """Refuse a mapping or a table, iterating over which gives the names of its columns.

    Args:
        name: of the argument.
        value: the argument.
        likely: columns that it may stand in; the message names the first of them that is there, else the first.

    Raises:
        ValueError: it is one: a dict, an archive of arrays, a table of pandas, polars, pyarrow or datasets, an array
            of records; the message says how to pass a column.
    """
    columns = _columns(value)
    if columns is None:
        return
    found = next((column for column in likely if column in columns), next(iter(columns), None))
    such_as = "" if found is None else f", such as {name}[{found!r}]"
    raise ValueError(f"{name} is a table (of type {type(value).__name__}); give one of its columns{such_as}")


def _columns(value: Any) -> list[Any] | None:
    """Names of a table's columns, or None for what is no table."""
    if isinstance(value, Mapping):
        return list(itertools.islice(value, 1000))
    if hasattr(type(value), "column_names"):  # of the type, since a pandas column may have a row of that name
        return list(value.column_names or [])
    if hasattr(type(value), "columns"):
        return list(value.columns)
    return list(getattr(getattr(value, "dtype", None), "names", None) or []) or None


def check_vectors(vectors: Any, embed_dim: int, semantic_width: int) -> Vectors:
    """Vectors as float32 of width D, the order part zero where it was left out; of any positive length.

    Args:
        vectors: an array or tensor of any kind of real numbers, nested lists, a column of vectors, or a pandas or
            polars table of as many columns of numbers. Shape: (B, D) or (B, S).
        embed_dim: D.
        semantic_width: S.

    Tiny or huge numbers are scaled so that they stay finite and above zero, both parts alike if they can be.
    Shape: (B, D).

    Raises:
        ValueError: a table, of wrong shape, or no real numbers.
        RowError: a vector is zero, of another width than the first, or holds NaN, infinity or what is no number.
    """
    message = f"(B, {embed_dim}) is needed, or (B, {semantic_width}) for semantic prefixes alone"
    wide = _check_matrix("vectors", vectors, (embed_dim, semantic_width), message)
    wide = np.pad(wide, ((0, 0), (0, embed_dim - wide.shape[1])))
    wide /= np.abs(wide).max(axis=1, keepdims=True)
    for part in (slice(semantic_width), slice(semantic_width, None)):
        largest = np.abs(wide[:, part]).max(axis=1, keepdims=True)
        wide[:, part] *= np.where((largest > 0) & (largest < _TINY), _TINY / np.where(largest > 0, largest, 1.0), 1.0)
    return wide.astype(np.float32)


def check_foreign(embeddings: Any, width: int | None = None) -> npt.NDArray[np.float64]:
    """Another encoder's embeddings, of any positive length, given as ``check_vectors`` takes vectors.

    Args:
        embeddings: Shape: (B, width).
        width: of an embedding, F; None for any.

    Raises:
        ValueError, RowError: see ``check_vectors``.
    """
    if width is None:
        return _check_matrix("embeddings", embeddings, (), "a row an embedding is needed")
    return _check_matrix("embeddings", embeddings, (width,), f"the alignment is for (B, {width})")


def _check_matrix(name: str, values: Any, widths: tuple[int, ...], message: str) -> npt.NDArray[np.float64]:
    """Finite rows, none of them zero, of one of some widths, or of any; the first where there are no rows."""
    values = _numbers_of_table(values, set(widths))
    refuse_table(name, values, _VECTOR_COLUMNS)
    array = _array(name, values, rows=True)
    if array.shape == (0,) and widths:
        array = array.reshape(0, widths[0])
    if array.ndim != 2 or (widths and array.shape[1] not in widths):
        found = f"are {array.shape[1]} wide" if array.ndim == 2 else f"have shape {array.shape}"
        raise ValueError(f"{name} {found}; {message}")
    wide = array.astype(np.float64)
    bad = ~np.isfinite(wide).all(axis=1)
    if bad.any():
        raise RowError("vector", int(bad.argmax()), "holds NaN or infinity")
    empty = ~wide.any(axis=1)
    if empty.any():
        raise RowError("vector", int(empty.argmax()), "is zero; it has no direction")
    return wide


def check_query(query: Any, embed_dim: int) -> npt.NDArray[Any]:
    """One vector as an array. Shape: (D,) or (S,), which ``check_vectors`` tells.

    Raises:
        ValueError: a table, no real numbers, or not of one dimension.
    """
    refuse_table("query", query, _VECTOR_COLUMNS)
    vector = _array("query", query, rows=False)
    if vector.ndim != 1:
        raise ValueError(f"query has shape {vector.shape}; give a text, or one vector of shape ({embed_dim},)")
    return vector


def _numbers_of_table(values: Any, widths: set[int]) -> Any:
    """The numbers of a table that has one column for each dimension; all else as it is."""
    columns = _columns(values)
    return values.to_numpy() if columns and len(columns) in widths and hasattr(values, "to_numpy") else values


def _array(name: str, values: Any, *, rows: bool) -> npt.NDArray[Any]:
    """Real numbers as an array of them; where they are rows of numbers, one at a time if there is no other way."""
    if isinstance(values, Set | str | bytes) or not (hasattr(values, "__len__") or hasattr(values, "__array__")):
        raise ValueError(f"{name} is of type {type(values).__name__}; give an array of numbers")
    array = _plain(values)
    if (array is None or array.dtype == object) and rows:
        return _stacked(values)
    if array is None or not _is_real(array):
        found = type(values).__name__ if array is None else array.dtype
        raise ValueError(f"{name} of type {found} given; real numbers are needed")
    return array


def _plain(values: Any) -> npt.NDArray[Any] | None:
    """What NumPy, or torch, makes an array of; None if they don't."""
    try:
        if isinstance(values, torch.Tensor):
            tensor = values.detach().to_dense().cpu()
            return np.asarray(tensor.double() if tensor.is_floating_point() else tensor)  # NumPy has no bfloat16
        array = np.asarray(values)
        # types that packages add to NumPy, such as bfloat16, are none of its numbers
        added = array.dtype.kind == "V" and array.dtype.names is None
        return None if np.ma.is_masked(values) else array.astype(np.float64) if added else array
    except (TypeError, ValueError, RuntimeError):
        return None


def _is_real(array: npt.NDArray[Any]) -> bool:
    return np.issubdtype(array.dtype, np.number) and not np.issubdtype(array.dtype, np.complexfloating)


def _stacked(rows: Any) -> npt.NDArray[Any]:
    """Rows of numbers as one array; says which row is none, or of another width."""
    found: list[npt.NDArray[Any]] = []
    for number, row in enumerate(rows.to_pylist() if hasattr(rows, "to_pylist") else rows):
        array = _plain(row)
        if array is not None and array.dtype == object and array.ndim == 1:
            array = _plain(list(array))
        if array is None or array.ndim != 1 or not _is_real(array):
            raise RowError("vector", number, f"{_unlike_numbers(row)}; give real numbers")
        if found and len(array) != len(found[0]):
            raise RowError("vector", number, f"has {len(array)} numbers, the first has {len(found[0])}")
        found.append(array)
    return np.stack(found) if found else np.empty(0)


def _unlike_numbers(row: Any) -> str:
    if isinstance(row, list | tuple | np.ndarray):
        strange = [value for value in row if value is np.ma.masked or not isinstance(value, float | int | np.number)]
        return f"holds a value that {_unlike_string(strange[0])}" if strange else "holds what is no real number"
    return _unlike_string(row)


def check_count(k: Any, name: str = "k", what: str = "neighbour") -> int:
    """A number of things that are asked for.

    Args:
        k: the argument.
        name: of the argument.
        what: what is asked for.

    Raises:
        ValueError: it is no positive integer.
    """
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or k < 1:
        raise ValueError(f"{name} is {k!r}; ask for at least 1 {what}, an integer")
    return int(k)
