"""Commands that go through files: texts to vectors, and vectors back to texts."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from lexivert.cli import rows
from lexivert.cli.options import Device, EffortOption, Input, MaxSeconds, Model, Output, Threads, budget_of, load
from lexivert.cli.rows import by_row, one_row, progress
from lexivert.display import visible
from lexivert.errors import LexivertError, TooLongError

if TYPE_CHECKING:
    from lexivert.io import TextLine
    from lexivert.model import Lexivert, Reading


def encode(
    source: Input,
    target: Output,
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    field: Annotated[str, typer.Option(help="Key of the text in .jsonl.")] = "text",
    skip_long: Annotated[
        bool, typer.Option("--skip-long", help="Leave out texts too long for a vector and name their lines.")
    ] = False,
) -> None:
    """Write the vectors of a file's texts.

    IN is .txt (a text a line), .jsonl, or - for lines on standard input; OUT is .npy, or .parquet with the columns
    line and vector.
    """
    from lexivert import io

    io.check_input(source, io.TEXT_SUFFIXES)
    io.check_output(target, io.VECTOR_SUFFIXES, source)
    loaded = load(model, device, threads)
    lines = progress(io.read_texts(source, field), io.count_lines(source), "encode")
    skipped: list[int] = []
    surprising: list[int] = []
    count = 0
    encoder = loaded.encoder
    fingerprint = loaded.fingerprint if target.suffix == ".parquet" else ""
    with io.vector_writer(target, loaded.embed_dim, fingerprint) as write:
        for part in _batches(_fitting(loaded, lines, skipped if skip_long else None)):
            vectors = encoder.encode_segmented([text.normalized for text in part], [text.units for text in part])
            write([text.number for text in part], vectors)
            surprising += [part[row].number for row in loaded.surprising([text.units for text in part], vectors)]
            count += len(part)
    typer.echo(visible(f"{count} vectors of width {loaded.embed_dim} written to {target}"), err=True)
    if skipped:
        typer.echo(f"left out, too long for a vector: {_listed(skipped)}", err=True)
    if surprising:
        typer.echo(f"too surprising to be read back exactly, as expected: {_listed(surprising)}", err=True)


def decode(  # noqa: PLR0913, PLR0917 a command has the options it has
    source: Input,
    target: Output,
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    column: Annotated[str, typer.Option(help="Column of the vectors in .parquet.")] = "vector",
    ignore_fingerprint: Annotated[
        bool, typer.Option("--ignore-fingerprint", help="Read even vectors that another model wrote.")
    ] = False,
    effort: EffortOption = "draft",
    max_seconds: MaxSeconds = None,
) -> None:
    """Read the texts of a file's vectors back.

    IN is .npy or .parquet; OUT is .txt, .jsonl (text, fit, verified, confidence, score), or - for lines on
    standard output. Vectors in .parquet that another model wrote are refused.
    """
    from lexivert import io

    budget = budget_of(effort, max_seconds)
    io.check_input(source, io.VECTOR_SUFFIXES)
    io.check_output(target, io.TEXT_SUFFIXES, source)
    total = io.count_vectors(source)
    written_by = None if ignore_fingerprint else io.fingerprint_of(source)
    loaded = load(model, device, threads)
    if written_by not in {None, loaded.fingerprint}:
        raise LexivertError(
            f"{source} was written by the model {written_by}, but {model} is {loaded.fingerprint}; use that model, "
            "or --ignore-fingerprint to read it anyway"
        )
    parts = io.read_vectors(source, rows.VECTORS_AT_ONCE, column)
    verified, doubtful = 0, []
    readings = by_row(lambda part: loaded.read(part, **budget), parts, source)
    with io.line_writer(target) as write:
        for line, reading in enumerate(progress(readings, total, "decode"), start=1):
            write(_record(reading) if target.suffix == ".jsonl" else one_row(reading.text))
            verified += reading.verified
            doubtful += [line] if reading.doubtful else []
    typer.echo(f"{total} texts read, {verified} of them verified exact", err=True)
    if doubtful:
        typer.echo(f"doubtful, of a confidence below 0.5: {_listed(doubtful)}", err=True)


class _Segmented(NamedTuple):
    """A text of a file: its line, itself as it is encoded, and its units."""

    number: int
    normalized: str
    units: list[int]


def _batches(texts: Iterator[_Segmented]) -> Iterator[list[_Segmented]]:
    while part := list(itertools.islice(texts, rows.TEXTS_AT_ONCE)):
        yield part


def _fitting(model: Lexivert, lines: Iterator[TextLine], skipped: list[int] | None) -> Iterator[_Segmented]:
    """Yield the texts that a vector can take; note the others in ``skipped``, or stop if that is None."""
    for line in lines:
        try:
            text, units = model.encoder.written(line.text)
        except TooLongError as error:
            if skipped is None:
                raise LexivertError(f"{line.where}: text {error}: split it or add --skip-long") from error
            skipped.append(line.number)
        except ValueError as error:
            raise LexivertError(f"{line.where}: {error}") from error
        else:
            yield _Segmented(line.number, text, units)


def _listed(lines: Sequence[int]) -> str:
    """How many texts, and their lines."""
    return f"{len(lines)} texts, lines {', '.join(map(str, lines))}"


def _record(reading: Reading) -> str:
    score = _mean(reading.scores)
    content: dict[str, object] = {"text": reading.text, "fit": reading.fit, "verified": reading.verified}
    content |= {"confidence": reading.confidence, "score": score}
    return json.dumps(content, ensure_ascii=False)


def _mean(scores: Sequence[float]) -> float:
    """Mean probability of the units; the empty text has nothing to doubt."""
    return sum(scores) / len(scores) if scores else 1.0
