"""Console command ``lexivert``: texts to vectors and back, from the command line.

The heavy libraries are imported inside the commands, so that ``lexivert --help`` answers at once.
"""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, TextIO

import typer

from lexivert import commands
from lexivert.cli.embeddings import align, write
from lexivert.cli.files import decode, encode
from lexivert.cli.one_text import neighbors, roundtrip
from lexivert.cli.tasks import mteb
from lexivert.errors import LexivertWarning

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)
for command in (roundtrip, encode, decode, align, write, neighbors, mteb):  # in the order of --help
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lexivert {version('lexivert')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Write texts as vectors, and read vectors back."""


def main() -> None:
    """Run the command; a user's mistake ends it with one line on standard error and exit code 1."""
    warnings.showwarning = _show_warning
    raise SystemExit(commands.run(app))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show our own warnings in one line, without the place in the code; others as Python does."""
    if issubclass(category, LexivertWarning):
        typer.echo(f"warning: {message}", err=True)
    else:
        (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))
