"""Text and vector files of users, read and written in parts, so that their size never matters.

Texts are ``.txt`` (a text a line) or ``.jsonl`` (an object a line); vectors are ``.npy`` (a row a vector) or
``.parquet`` (a column of lists, with the fingerprint of the model that made them in the schema's metadata). What is
written appears complete or not at all.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lexivert import display
from lexivert.artifacts import atomic_path, load_npy, target_of
from lexivert.errors import LexivertError

STANDARD = Path("-")
"""Stands for standard input or output."""
TEXT_SUFFIXES = (".txt", ".jsonl")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, ".parquet")
"""Of files that ``read_texts`` reads."""
VECTOR_SUFFIXES = (".npy", ".parquet")
LINE_COLUMN, VECTOR_COLUMN = "line", "vector"
FINGERPRINT = b"lexivert.fingerprint"
"""Key of the schema's metadata in ``.parquet`` files."""

_ROWS_AT_ONCE = 4096  # texts of a table

Vectors = npt.NDArray[Any]
WriteVectors = Callable[[Sequence[int], npt.NDArray[np.float32]], None]
WriteText = Callable[[str], None]


@dataclass(frozen=True)
class TextLine:
    """A text of a file.

    Attributes:
        where: file and line, for messages.
        number: line in the file, from 1.
        text: the text.
    """

    where: str
    number: int
    text: str


def check_input(path: Path, suffixes: Sequence[str]) -> None:
    """Refuse an input that is not there or of an unknown kind; standard input is always fine for texts.

    Raises:
        LexivertError: names the file and what would be right.
    """
    if path == STANDARD and suffixes == TEXT_SUFFIXES:
        return
    if path.suffix not in suffixes:
        raise LexivertError(f"{path} is no {' or '.join(suffixes)} file")
    if not path.is_file():
        raise LexivertError(f"{path} is not there" if not path.exists() else f"{path} is no file")


def check_output(path: Path, suffixes: Sequence[str], source: Path | None = None) -> None:
    """Refuse an output of an unknown kind, in the place of a folder or a device, or in that of the input.

    Args:
        path: of the output.
        suffixes: the kinds.
        source: the input, if any.

    Raises:
        LexivertError: names the file and what would be right.
    """
    if path == STANDARD and suffixes == TEXT_SUFFIXES:
        return
    if path.suffix not in suffixes:
        raise LexivertError(f"{path}: write to a {' or '.join(suffixes)} file")
    if path.is_dir():
        raise LexivertError(f"{path} is a folder; name a file")
    target = target_of(path)
    if source is not None and target.exists() and source.exists() and target.samefile(source):
        raise LexivertError(f"{path} is the file that is read; name another")


def count_lines(path: Path) -> int | None:
    """Number of lines of a file, or None for standard input."""
    if path == STANDARD:
        return None
    with path.open("rb") as file:
        parts = iter(lambda: file.read(1 << 20), b"")
        return sum(part.count(b"\n") for part in parts)


def read_texts(path: Path, field: str = "text") -> Iterator[TextLine]:
    """Yield the texts of a ``.txt`` or ``.jsonl`` file, or of standard input, a line each; or those of a table.

    An empty line of text is an empty text; an empty line between JSON objects is passed over.

    Args:
        path: the file, or ``-``.
        field: key of the text in each JSON object, or column of a ``.parquet`` file.

    Raises:
        LexivertError: a line is not UTF-8, no JSON object, or has no string under ``field``; names file and line.
    """
    if path.suffix == ".parquet":
        yield from _read_column(path, field)
        return
    for line in _lines(path):
        if path.suffix != ".jsonl":
            yield line
        elif line.text.strip():
            text = _field(line, field)
            if text is None:
                raise LexivertError(f"{line.where}: field {field!r} is null, not a string")
            yield TextLine(line.where, line.number, text)


def read_records(path: Path, field: str) -> Iterator[TextLine]:
    """Yield the texts of a ``.jsonl`` file as rows of a table: null is an empty text; otherwise as ``read_texts``."""
    for line in _lines(path):
        if line.text.strip():
            yield TextLine(line.where, line.number, _field(line, field) or "")


def _lines(path: Path) -> Iterator[TextLine]:
    """The lines of a file, or of standard input."""
    name = "standard input" if path == STANDARD else str(path)
    with contextlib.ExitStack() as stack:
        file: BinaryIO = _standard_input() if path == STANDARD else stack.enter_context(path.open("rb"))
        for number, raw in enumerate(file, start=1):
            where = f"{name} line {number}"
            try:
                content = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise LexivertError(f"{where}: not valid UTF-8 (byte {error.start + 1})") from error
            yield TextLine(where, number, content)


def _standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise LexivertError("standard input is closed; name a file instead")
    return sys.stdin.buffer


def _field(line: TextLine, field: str) -> str | None:
    """What a JSON object has under a key, a string or null."""
    try:
        record = json.loads(line.text)
    except (ValueError, RecursionError) as error:  # the latter from brackets nested too deep
        raise LexivertError(f"{line.where}: not valid JSON ({error})") from error
    if not isinstance(record, dict):
        raise LexivertError(f"{line.where}: not a JSON object")
    if field not in record:
        raise LexivertError(f"{line.where}: no field {field!r}")
    text = record[field]
    if text is not None and not isinstance(text, str):
        raise LexivertError(f"{line.where}: field {field!r} is {json.dumps(text)[:40]}, not a string")
    return text


@contextlib.contextmanager
def vector_writer(path: Path, width: int, fingerprint: str) -> Iterator[WriteVectors]:
    """Give a function that appends rows to a vector file: line numbers (n,) and vectors (n, D) float32.

    A ``.parquet`` file keeps the line numbers in column ``line`` beside ``vector``, and the fingerprint; a ``.npy``
    file has no place for them.

    Args:
        path: the file.
        width: of a vector, D.
        fingerprint: of the model.
    """
    with atomic_path(path) as temporary, contextlib.ExitStack() as stack:
        if path.suffix == ".parquet":
            yield stack.enter_context(_parquet_writer(temporary, width, fingerprint))
        else:
            yield stack.enter_context(_npy_writer(temporary, width))


@contextlib.contextmanager
def _npy_writer(path: Path, width: int) -> Iterator[WriteVectors]:
    """The header leaves room for any number of rows, so it is written again over itself at the end."""
    rows = 0
    with path.open("wb") as file:

        def header() -> None:
            content = {"descr": "<f4", "fortran_order": False, "shape": (rows, width)}
            np.lib.format.write_array_header_1_0(file, content)

        def write(_lines: Sequence[int], vectors: npt.NDArray[np.float32]) -> None:
            nonlocal rows
            file.write(np.ascontiguousarray(vectors, dtype="<f4").data)
            rows += len(vectors)

        header()
        yield write
        file.seek(0)
        header()


@contextlib.contextmanager
def _parquet_writer(path: Path, width: int, fingerprint: str) -> Iterator[WriteVectors]:
    columns = [(LINE_COLUMN, pa.int64()), (VECTOR_COLUMN, pa.list_(pa.float32(), width))]
    schema = pa.schema(columns, metadata={FINGERPRINT: fingerprint})
    with pq.ParquetWriter(path, schema, compression="zstd") as file:

        def write(lines: Sequence[int], vectors: npt.NDArray[np.float32]) -> None:
            flat = pa.array(np.ascontiguousarray(vectors).ravel(), type=pa.float32())
            columns = [pa.array(lines, type=pa.int64()), pa.FixedSizeListArray.from_arrays(flat, width)]
            file.write_table(pa.Table.from_arrays(columns, schema=schema))

        yield write


def count_vectors(path: Path) -> int:
    """Number of rows of a vector file.

    Raises:
        LexivertError: it is damaged.
    """
    if path.suffix != ".parquet":
        return len(_open_npy(path))
    with _parquet_explained(path):
        return int(pq.ParquetFile(path).metadata.num_rows)


def fingerprint_of(path: Path) -> str | None:
    """Fingerprint of the model that wrote a vector file, or None where the file does not say.

    Raises:
        LexivertError: it is damaged.
    """
    if path.suffix != ".parquet":
        return None
    with _parquet_explained(path):
        found = (pq.read_schema(path).metadata or {}).get(FINGERPRINT)
    return None if found is None else found.decode("utf-8", "replace")


def read_vectors(path: Path, rows_at_once: int, column: str = VECTOR_COLUMN) -> Iterator[Vectors]:
    """Yield the vectors of a ``.npy`` or ``.parquet`` file in parts.

    Args:
        path: the file.
        rows_at_once: most rows of a part.
        column: of the vectors, in a ``.parquet`` file.

    Shape: each (n, D), n up to ``rows_at_once``.

    Raises:
        LexivertError: the file is damaged, or holds no vectors of one width.
    """
    if path.suffix == ".parquet":
        yield from _read_parquet(path, rows_at_once, column)
        return
    array = _open_npy(path)
    for start in range(0, len(array), rows_at_once):
        yield np.asarray(array[start : start + rows_at_once])


def _open_npy(path: Path) -> Vectors:
    try:
        array: Vectors = load_npy(path, mmap=True)
    except ValueError as error:
        raise LexivertError(f"{path} is no readable .npy file of numbers, as `lexivert encode` writes it") from error
    if array.ndim != 2:
        raise LexivertError(f"{path} holds an array of shape {array.shape}; a row a vector is needed")
    return array


def _read_parquet(path: Path, rows_at_once: int, column: str) -> Iterator[Vectors]:
    with _parquet_explained(path):
        for lists in _parquet_batches(path, rows_at_once, column):
            yield _matrix(lists, f"{path} column {column!r}")


def _read_column(path: Path, column: str) -> Iterator[TextLine]:
    with _parquet_explained(path):
        number = 0
        for batch in _parquet_batches(path, _ROWS_AT_ONCE, column):
            for text in batch.to_pylist():
                number += 1
                where = f"{path} row {number}"
                if not isinstance(text, str):
                    raise LexivertError(f"{where}: column {column!r} is {text!r:.40}, not a string")
                yield TextLine(where, number, text)


def _parquet_batches(path: Path, rows_at_once: int, column: str) -> Iterator[Any]:
    file = pq.ParquetFile(path)
    if column not in file.schema_arrow.names:
        raise LexivertError(f"{path} has no column {column!r} but {', '.join(file.schema_arrow.names)}")
    for batch in file.iter_batches(rows_at_once, columns=[column]):
        yield batch.column(0)


@contextlib.contextmanager
def _parquet_explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise LexivertError(f"{path} is no readable Parquet file ({str(error).splitlines()[0]})") from error


def _matrix(lists: Any, where: str) -> Vectors:
    """Lists of equally many numbers as rows. Shape: (n, D)."""
    if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type) or _is_fixed(lists.type)):
        raise LexivertError(f"{where} holds {lists.type}, not lists of numbers")
    if lists.null_count or lists.flatten().null_count:
        raise LexivertError(f"{where} holds missing values")
    widths = set(pa.compute.list_value_length(lists).to_pylist())
    if len(widths) > 1:
        raise LexivertError(f"{where} holds vectors of different widths: {', '.join(map(str, sorted(widths)))}")
    matrix: Vectors = lists.flatten().to_numpy(zero_copy_only=False).reshape(len(lists), -1)
    return matrix


def _is_fixed(kind: Any) -> bool:
    return bool(pa.types.is_fixed_size_list(kind))


@contextlib.contextmanager
def line_writer(path: Path) -> Iterator[WriteText]:
    """Give a function that writes a line to a file, or to standard output as ``display.shown`` says."""
    if path == STANDARD:
        yield _line_to(sys.stdout)
        sys.stdout.flush()
        return
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        yield _line_to(file)


def _line_to(file: TextIO) -> WriteText:
    def write(line: str) -> None:
        file.write(f"{display.shown(line, file)}\n")

    return write
