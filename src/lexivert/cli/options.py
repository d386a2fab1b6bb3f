"""Options that several commands have, and what they mean: which model, where it computes, how far it goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexivert.cli.mistakes import one_line
from lexivert.errors import LexivertError

if TYPE_CHECKING:
    from lexivert.model import Lexivert

EFFORT, MAX_SECONDS = "--effort", "--max-seconds"
_MOST_THREADS = 1024

Model = Annotated[str, typer.Option("--model", help="Model folder or hub id, or a project folder after `dvc repro`.")]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute; as the model says if not given."),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, max=_MOST_THREADS, help="Threads to compute with; as many as cores if not given."
    ),
]
EffortOption = Annotated[
    str,
    typer.Option(
        EFFORT,
        metavar="draft|normal|high",
        help="How far to go for texts that are not read for sure: above draft with a language model, seconds each.",
    ),
]
WriteEffort = Annotated[
    str, typer.Option(EFFORT, metavar="draft|normal|high", help="How long to search for a better text.")
]
MaxSeconds = Annotated[
    float | None, typer.Option(MAX_SECONDS, help="Of a text's search; as the model says if not given.")
]
Input = Annotated[Path, typer.Argument(metavar="IN")]
Output = Annotated[Path, typer.Argument(metavar="OUT")]


def load(name: str, device: str | None, threads: int | None) -> Lexivert:
    """A model by its folder or hub id, or that of a project folder."""
    if threads is not None:
        from lexivert.threads import limit_threads

        limit_threads(threads)
    from lexivert.model import Lexivert

    folder = Path(name)
    if folder.is_dir() and not (folder / "config.json").exists():
        if not any((folder / part).exists() for part in ("dvc.yaml", "params.yaml", "models/index")):
            where = "here" if name == "." else f"in {name}"
            raise LexivertError(
                f"no model {where}; use --model with a model's folder, its hub id, or a project folder after "
                "`make reproduce`"
            )
        return Lexivert.load(folder, device=device)
    return Lexivert.from_pretrained(name, device=device or "auto")


def budget_of(effort: str, max_seconds: float | None = None) -> dict[str, Any]:
    """How far to go, as the API takes it; a mistake is named by its option."""
    from lexivert.arguments import check_effort, check_seconds

    with one_line():
        level = check_effort(effort, EFFORT)
        return {"effort": level, "max_seconds": check_seconds(max_seconds, level, MAX_SECONDS, EFFORT)}
