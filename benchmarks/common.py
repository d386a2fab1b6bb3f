"""What several benchmarks share: errors in one line, files that a user may supply, the memory of this process."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from lexivert.errors import LexivertError


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """End with one line on standard error and status 1 where something is missing, damaged or wrong.

    Raises:
        SystemExit: it is.
    """
    try:
        yield
    except LexivertError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from error


def given_file(name: str) -> Path | None:
    """A file that the user may supply, or None, with a word about it, where there is none of this name."""
    if not name:
        return None
    path = Path(name)
    if path.is_file():
        return path
    sys.stderr.write(f"there is no file {name}; its figures are left out\n")
    return None


def peak_bytes() -> int:
    """Largest resident memory of this process (Linux). ``getrusage`` would count its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
