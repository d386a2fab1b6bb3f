"""What several benchmarks share: how they begin and end, files that a user may supply, the memory of this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from lexivert import commands


def run_command(action: Callable[[], object]) -> NoReturn:
    """Run a benchmark, of this folder's project, as `lexivert.commands` runs a command.

    Raises:
        SystemExit: always; with status 1 where something is missing, damaged or wrong.
    """
    raise SystemExit(commands.run(action, Path(__file__)))


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
