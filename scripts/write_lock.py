"""Write the exact versions of everything installed beside this interpreter: ``python scripts/write_lock.py FILE``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HEADER = """\
# Exact versions of everything, transitive requirements included, for Linux and Python 3.11.
# Made by `make lock` (pip freeze of a fresh environment solved from pyproject.toml); don't edit by hand.
# Local version labels are dropped ("2.13.0+cpu" -> "2.13.0"), so that pip takes the torch build that the machine
# offers; a CUDA build pins its own nvidia packages.
"""
LEFT_OUT = {"lexivert", "pip", "setuptools", "wheel"}


def pinned(freeze: str) -> list[str]:
    """Return the ``name==version`` lines of ``pip freeze`` output, without ours, local labels and paths."""
    lines = [line.partition("+")[0] for line in freeze.splitlines() if "==" in line and not line.startswith("#")]
    return sorted((line for line in lines if line.partition("==")[0] not in LEFT_OUT), key=str.lower)


def main() -> None:
    """Run pip freeze and write the file."""
    command = [sys.executable, "-m", "pip", "freeze", "--exclude-editable"]
    freeze = subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603
    Path(sys.argv[1]).write_text(HEADER + "\n".join(pinned(freeze)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
