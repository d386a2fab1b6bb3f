"""What the API says of a wrong argument, as a message of the command: one line, with the file that it is about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from lexivert.errors import LexivertError


@contextlib.contextmanager
def one_line(source: Path | str = "") -> Iterator[None]:
    """Turn a ``ValueError`` into a ``LexivertError`` that names the file, if it is about one."""
    try:
        yield
    except ValueError as error:
        raise LexivertError(f"{source}: {error}" if source else str(error)) from error
