"""Commands that write texts for sentence embeddings, those of other encoders included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexivert.cli import rows
from lexivert.cli.mistakes import one_line
from lexivert.cli.options import Device, Input, Model, Output, Threads, WriteEffort, budget_of, load
from lexivert.cli.rows import by_row, one_row, progress
from lexivert.display import visible
from lexivert.errors import LexivertError, RowError

if TYPE_CHECKING:
    from lexivert.generation.alignment import Alignment
    from lexivert.generation.base import Candidate, Generated
    from lexivert.model import Lexivert


def align(  # noqa: PLR0913, PLR0917 a command has the options it has
    texts: Annotated[Path, typer.Argument(metavar="TEXTS")],
    vectors: Annotated[Path, typer.Argument(metavar="VECTORS")],
    target: Output,
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    field: Annotated[str, typer.Option(help="Key of the text in .jsonl, or column in .parquet.")] = "text",
    column: Annotated[str, typer.Option(help="Column of the vectors in .parquet.")] = "vector",
    encoder: Annotated[str, typer.Option(metavar="NAME", help="Of the other encoder, for messages.")] = "",
) -> None:
    """Fit a map from another encoder's vectors to the model's, so that texts can be written for them.

    TEXTS is .txt (a text a line), .jsonl or .parquet, 1,000 to 5,000 texts; VECTORS is .npy or .parquet, the other
    encoder's vector of each; OUT is a folder, made with the folders above it, and replaced where it holds an
    alignment.
    """
    from lexivert import io
    from lexivert.generation.alignment import check_target

    io.check_input(texts, io.TABLE_SUFFIXES)
    io.check_input(vectors, io.VECTOR_SUFFIXES)
    check_target(target)
    fingerprint = io.fingerprint_of(vectors) or ""
    lines = list(io.read_texts(texts, field))
    foreign = _foreign(vectors, column)
    if (count := len(foreign)) != len(lines):
        raise LexivertError(f"{texts} has {len(lines)} texts, {vectors} {count} vectors; a vector a text is needed")
    loaded = load(model, device, threads)
    with one_line(f"{texts} with {vectors}"):
        try:
            alignment = loaded.align([line.text for line in lines], foreign, encoder=encoder, fingerprint=fingerprint)
        except RowError as error:  # the vectors have been checked
            raise LexivertError(f"{lines[error.row].where}: {error.kind} {error.reason}") from error
    alignment.save(target)
    fit = alignment.fit
    found = f"cosine {fit.cosine:.3f} ({fit.cosine_low:.3f} to {fit.cosine_high:.3f}) on {fit.heldout} held-out pairs"
    typer.echo(visible(f"{target}: {fit.pairs} pairs, {found}, {fit.baseline:.3f} of the mean embedding"), err=True)


def write(  # noqa: PLR0913, PLR0917 a command has the options it has
    source: Input,
    target: Output,
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    effort: WriteEffort = "normal",
    alternatives: Annotated[int, typer.Option(help="Further texts of each, 0 or more, in .jsonl.")] = 0,
    alignment: Annotated[
        Path | None, typer.Option(help="Folder of `lexivert align`, for another encoder's vectors.")
    ] = None,
    column: Annotated[str, typer.Option(help="Column of the vectors in .parquet.")] = "vector",
) -> None:
    """Write texts of the meaning of sentence embeddings, such as predicted or averaged ones.

    IN is .npy or .parquet, embeddings of the model's backbone, or full vectors, whose semantic prefix counts; OUT is
    .txt, .jsonl (text, cosine, alternatives, and log_probability where there is a language model), or - for lines on
    standard output; folders above it are made. All of IN is checked before the first text is written.
    """
    from lexivert import io
    from lexivert.generation.alignment import Alignment

    io.check_input(source, io.VECTOR_SUFFIXES)
    io.check_output(target, io.TEXT_SUFFIXES, source)
    budget = budget_of(effort)
    if alternatives < 0:
        raise LexivertError(f"--alternatives is {alternatives}; a number from 0 on is needed")
    if alternatives and target.suffix != ".jsonl":
        raise LexivertError("--alternatives needs a .jsonl file")
    total = io.count_vectors(source)
    aligned = None if alignment is None else Alignment.load(alignment)
    if aligned is not None:
        with one_line(source):
            aligned.check_fingerprint(io.fingerprint_of(source))
    loaded = load(model, device, threads)
    _check_embeddings(loaded, source, column, aligned)
    loaded.generator  # noqa: B018 says what it lacks before anything is shown

    def written(part: Any) -> list[Generated]:
        return loaded.generate(part, 1 + alternatives, effort=budget["effort"], alignment=aligned)

    parts = by_row(written, io.read_vectors(source, rows.VECTORS_AT_ONCE, column), source)
    cosines = 0.0
    with io.line_writer(target) as write_line:
        for one in progress(parts, total, "write"):
            write_line(_generated_record(one) if target.suffix == ".jsonl" else one_row(one.text))
            cosines += one.cosine
    mean = f", of a mean cosine of {cosines / total:.3f} with their embeddings" if total else ""
    typer.echo(f"{total} texts written{mean}", err=True)


def _check_embeddings(model: Lexivert, source: Path, column: str, alignment: Alignment | None) -> None:
    """Go through a file before anything is written for it, so that a bad row late in it costs no work."""
    from lexivert import io

    def checked(part: Any) -> list[None]:
        model.directions(part, alignment)
        return []

    for _ in by_row(checked, io.read_vectors(source, rows.VECTORS_AT_ONCE, column), source):
        pass


def _foreign(source: Path, column: str) -> Any:
    """Another encoder's embeddings of a file, checked. Shape: (B, F)."""
    import numpy as np

    from lexivert import io
    from lexivert.arguments import check_foreign

    parts = list(io.read_vectors(source, rows.TEXTS_AT_ONCE, column))
    if len(widths := {part.shape[1] for part in parts}) > 1:
        raise LexivertError(f"{source} holds vectors of different widths: {', '.join(map(str, sorted(widths)))}")
    with one_line(source):
        return check_foreign(np.concatenate(parts or [np.empty((0, 1))]))


def _generated_record(one: Generated) -> str:
    def content(candidate: Candidate) -> dict[str, object]:
        found = {"text": candidate.text, "cosine": candidate.cosine, "log_probability": candidate.log_probability}
        return {name: value for name, value in found.items() if value is not None}

    others = {"alternatives": [content(other) for other in one.alternatives]} if one.alternatives else {}
    return json.dumps(content(one) | others, ensure_ascii=False)
