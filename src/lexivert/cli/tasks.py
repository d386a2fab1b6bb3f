"""Command that runs tasks of MTEB, or STS files, on a model."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from lexivert.cli.options import Device, Model, Threads, load
from lexivert.display import visible
from lexivert.errors import LexivertError


def mteb(
    target: Annotated[Path, typer.Argument(metavar="OUTDIR")],
    tasks: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="MTEB tasks, with commas between; may be repeated.")
    ] = None,
    sts: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.tsv", help="Score, sentence, sentence a line, tabs between; may be repeated."),
    ] = None,
    part: Annotated[str, typer.Option(metavar="full|prefix|order", help="What of the vectors is compared.")] = "full",
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Run tasks of MTEB, or STS files of your own, and write their results to a folder in MTEB's layout.

    The data of MTEB's tasks come from the Hugging Face hub, unless they are in its cache already; STS files need no
    network.
    """
    names = [name for listed in tasks or [] for name in map(str.strip, listed.split(",")) if name]
    if not names and not sts:
        raise LexivertError("nothing to run; name tasks with --tasks, or a file with --sts")
    if target.exists() and not target.is_dir():
        raise LexivertError(f"{target} is no folder; name one for the results")
    with _needs_mteb():
        from lexivert.evaluation import mteb_tasks
    from lexivert.console import score_table, show_table

    mteb_tasks.check_part(part)
    found = [*mteb_tasks.read_tasks(sts or []), *mteb_tasks.find_tasks(names)]
    encoder = mteb_tasks.PartEncoder(load(model, device, threads), part)
    scores: list[mteb_tasks.Score] = []
    try:
        scores.extend(mteb_tasks.evaluate(encoder, found, target, progress=sys.stderr.isatty()))
    finally:  # what is finished is written, and shown even if a later task stops the command
        if scores:
            show_table(score_table(scores))
            typer.echo(f"results in {visible(str(mteb_tasks.result_folder(encoder, target)))}", err=True)


@contextlib.contextmanager
def _needs_mteb() -> Iterator[None]:
    """Say what to install where mteb is missing, or too old to have what is imported."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"mteb", "datasets"}:
            raise
        raise LexivertError("`lexivert mteb` needs the extra `eval`: pip install 'lexivert[eval]'") from error
