"""What every stage command shares: its two options, logging, and errors of one line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from lexivert.errors import LexivertError

Root = Annotated[Path, typer.Option("--root", help="Folder that holds data/, models/ and metrics/.")]
ParamsFile = Annotated[Path, typer.Option("--params", help="The numbers of the run.")]
ROOT = Path()
PARAMS = Path("params.yaml")


def run(main: Callable[..., None]) -> None:
    """Run a stage's function as a Typer command.

    A ``LexivertError`` ends the command with ``error: …`` on standard error and exit code 1, without a traceback;
    anything else is a defect of ours and keeps its traceback.

    Usage in ``pipeline/<stage>.py``::

        def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None: ...

        if __name__ == "__main__":
            run(main)
    """
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("lexivert").setLevel(logging.INFO)
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    try:
        app()
    except LexivertError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None
