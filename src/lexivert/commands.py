"""How a command begins and ends: with the project's own code, and in one line for what a user can mend."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from lexivert.display import visible
from lexivert.errors import LexivertError

DVC_COPIES = Path(".dvc") / "tmp" / "exps"
"""Where DVC copies a project to run an experiment that was queued or is to leave the folder as it is."""
log = logging.getLogger(__name__)


def run(action: Callable[[], object], start: Path | None = None) -> int:
    """Run a command; a user's mistake, or what the operating system refuses, is one line on standard error.

    An ``OSError`` without the system's error number is no refusal of the system, but one that a library made up. The
    traceback of a refusal, whoever's fault it may be, is in the log at level debug.

    Args:
        action: what the command does; anything but such an error passes, since that is a defect of ours.
        start: a file or folder of the project whose code is to run; where the command was started if None.

    Returns:
        The exit status: 0, or 1 after an error.
    """
    try:
        with _explained_output():
            run_own_code(start or Path.cwd())
            check_checkout(start or Path.cwd())
            try:
                action()
            finally:  # what a pipe or a disk does not take, it often says only now
                sys.stdout.flush()
    except LexivertError as error:
        return _failed(str(error))
    except OSError as error:
        if error.errno is None:
            raise
        log.debug("refused by the operating system", exc_info=True)
        reason = error.strerror or str(error)
        return _failed(reason if error.filename is None else f"{error.filename}: {reason}")
    return 0


def run_own_code(start: Path) -> None:
    """Start a command anew with the sources of a copy that DVC made of this project; elsewhere do nothing.

    Queued and temporary experiments run there, with the environment of the project itself, whose sources may have
    been edited since. In such a copy this call doesn't return: another program takes the place of this one.

    Args:
        start: a file or folder.
    """
    root = project_around(start)
    project = Path(__file__).resolve().parents[2]
    if root is None or not root.is_relative_to(project / DVC_COPIES):
        return
    sources, path = str(root / "src"), os.environ.get("PYTHONPATH", "")
    if path.split(os.pathsep)[0] == sources:  # it was tried, and something else still comes first
        return
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [sources, path]))}
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606


def check_checkout(start: Path) -> None:
    """Refuse to run other code than that of the project in which a command is started.

    In a copied or moved project, or in a second git worktree, an environment that was made elsewhere imports the
    package of the old folder, while `dvc.lock` would record the sources of the new one.

    Args:
        start: a file or folder; the nearest project around it counts. Outside of any, every package is fine.

    Raises:
        LexivertError: it is another folder's code that was imported.
    """
    root = project_around(start)
    here = Path(__file__).resolve().parent
    if root is not None and (root / "src" / "lexivert").resolve() != here:
        raise LexivertError(
            f"{root} is a Lexivert project, but the code that runs is that of {here}; run `pip install --editable "
            f"{root}` in this environment, or use the project's own (make install)"
        )


def project_around(start: Path) -> Path | None:
    """The nearest folder, from ``start`` upwards, that holds a pipeline and the package's sources."""
    start = start.resolve()
    for folder in (start, *start.parents):
        has_pipeline = any((folder / name).is_file() for name in ("params.yaml", "dvc.yaml"))
        if has_pipeline and (folder / "src" / "lexivert" / "__init__.py").is_file():
            return folder
    return None


def _failed(message: str) -> int:
    if sys.stderr is not None:
        sys.stderr.write(f"error: {visible(message)}\n")
    return 1


class _Output:
    """Standard output that says in a ``LexivertError`` why it takes nothing.

    Args:
        stream: the real one, or None where it was closed before the program began.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        """Whether it is a terminal; a closed stream is none."""
        return self._stream is not None and self._stream.isatty()

    def write(self, text: str) -> int:
        """Write as the stream does."""
        with self._explained():
            return self._open().write(text)

    def flush(self) -> None:
        """Write out what is buffered; a closed stream has nothing."""
        if self._stream is not None:
            with self._explained():
                self._stream.flush()

    def _open(self) -> TextIO:
        if self._stream is None:
            raise LexivertError("standard output is closed; write to a file instead")
        return self._stream

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            sign = error.object[error.start].encode("unicode_escape").decode()
            raise LexivertError(
                f"standard output is {error.encoding}, which has no {sign}; set PYTHONIOENCODING=utf-8, or write to "
                "a file"
            ) from error
        except BrokenPipeError as error:
            self._discard()
            raise LexivertError("standard output was closed before everything was written") from error
        except OSError as error:
            self._discard()
            raise LexivertError(f"standard output: {error.strerror or error}") from error

    def _discard(self) -> None:
        """Let what is still buffered go nowhere, or Python would complain once more when it ends."""
        with contextlib.suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._open().fileno())
            os.close(nowhere)


@contextlib.contextmanager
def _explained_output() -> Iterator[None]:
    real = sys.stdout
    sys.stdout = cast("TextIO", _Output(real))
    try:
        yield
    finally:
        sys.stdout = real
