"""Brings a project back to its last commit, however an experiment ended: ``python scripts/restore.py``.

Params, locks and metrics come from git, data and models from DVC's cache; what is not in the cache is left for the
next ``dvc repro``. Sources stay as they are. A plain ``git restore … && dvc checkout`` would not do: `dvc exp run`
puts its changes into git's index, where a plain restore takes them from, and ended by a signal it leaves a stage that
goes on and writes, and locks of a process that is gone.

What still runs is seen in /proc, so on Linux alone; elsewhere nothing is ended and no lock is removed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = Path("/proc")
NAMES = ("params.yaml", "dvc.lock")
"""Files that an experiment changes, in any folder."""
FOLDERS = ("metrics/", "experiments/losses.json")
"""Where what it measures is kept in git."""
SECONDS = 10
"""That a stage is given to end."""


def shown() -> bool:
    """Whether processes can be seen, as they can on Linux."""
    return (PROCESSES / "self" / "environ").exists()


def processes() -> Iterator[Path]:
    """Folders of the other processes; none where they can't be seen."""
    for folder in PROCESSES.glob("[0-9]*"):
        if int(folder.name) != os.getpid():
            yield folder


def words(folder: Path, name: str) -> list[str]:
    """Arguments or environment of a process; none where it has ended or is another user's."""
    with contextlib.suppress(OSError):
        return (folder / name).read_bytes().decode("utf-8", "replace").split("\0")
    return []


def works_here(folder: Path) -> bool:
    """Whether a process has this project as its working folder."""
    with contextlib.suppress(OSError):
        return (folder / "cwd").resolve().is_relative_to(ROOT)
    return False


def running(program: str) -> list[int]:
    """Processes of a program in this project."""
    found = []
    for folder in processes():
        first = words(folder, "cmdline")[:3]
        names = {Path(word).name for word in first[:2]} | ({first[2]} if first[1:2] == ["-m"] else set())
        if program in names and works_here(folder):
            found.append(int(folder.name))
    return found


def stages() -> list[int]:
    """Processes of stages that DVC started in this project."""
    return [
        int(folder.name)
        for folder in processes()
        if f"DVC_ROOT={ROOT}" in (environment := words(folder, "environ"))
        and any(word.startswith("DVC_STAGE=") for word in environment)
    ]


def end_stages() -> None:
    """End what still runs of an experiment whose DVC is gone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in stages():
            sys.stdout.write(f"ending process {process}, a stage that was still running\n")
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)
        deadline = time.monotonic() + SECONDS
        while stages() and time.monotonic() < deadline:
            time.sleep(0.1)


def git(*arguments: str) -> str:
    """Output of git in this project."""
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603, S607


def restore_files() -> None:
    """Put params, locks and metrics of HEAD into index and working tree."""
    folder = Path(git("rev-parse", "--absolute-git-dir").strip())
    if shown() and not running("git"):
        (folder / "index.lock").unlink(missing_ok=True)
    listed = git("ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0")
    files = [name for name in listed if Path(name).name in NAMES or name.startswith(FOLDERS)]
    git("restore", "--source=HEAD", "--staged", "--worktree", "--", *files)


def main() -> int:
    """Restore everything.

    Returns:
        0, or 1 after an error, which is one line.
    """
    if not shown():
        sys.stdout.write(
            "processes can't be seen on this system: end dvc and its stages yourself; locks are left, remove "
            ".git/index.lock and .dvc/tmp/rwlock if nothing runs\n"
        )
    if busy := running("dvc"):
        sys.stderr.write(f"error: dvc is running here (process {busy[0]}); wait for it, or end it first\n")
        return 1
    end_stages()
    try:
        restore_files()
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"error: git: {' '.join(error.stderr.split())}\n")
        return 1
    if shown():
        (ROOT / ".dvc" / "tmp" / "rwlock").unlink(missing_ok=True)
    sys.stdout.flush()
    checkout = [sys.executable, "-m", "dvc", "checkout", "--force", "--allow-missing"]
    return subprocess.run(checkout, cwd=ROOT, check=False).returncode  # noqa: S603


if __name__ == "__main__":
    raise SystemExit(main())
