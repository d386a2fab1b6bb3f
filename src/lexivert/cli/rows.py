"""Rows of files: texts and vectors a part at a time, mistakes named by their row, and what is written for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from lexivert.cli.mistakes import one_line
from lexivert.errors import LexivertError, RowError

T = TypeVar("T")

TEXTS_AT_ONCE = 2048
VECTORS_AT_ONCE = 64
"""No more than a model reads in one go, so that the bar moves after each."""


def by_row(action: Callable[[Any], list[T]], parts: Iterator[Any], source: Path) -> Iterator[T]:
    """What an action makes of vectors, one by one; a vector at fault is named by its row in the file."""
    start = 0
    for part in parts:
        with one_line(source):
            try:
                found = action(part)
            except RowError as error:
                reason = error.reason.replace("`generate`", "`lexivert write`")  # of the API, and of the command line
                raise LexivertError(f"{source}: {error.kind} {start + error.row} {reason}") from error
        yield from found
        start += len(part)


def progress(items: Iterator[Any], total: int | None, label: str) -> Iterator[Any]:
    """Show a bar on standard error, where that is a terminal."""
    from tqdm import tqdm

    bar: Iterator[Any] = iter(tqdm(items, desc=label, total=total, unit=" texts", disable=None))
    return bar


def one_row(text: str) -> str:
    """A misread text may contain a line break; a row must not."""
    return " ".join(text.split())
