"""How a command begins and ends: with the project's own code, and in one line for what a user can mend."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from lexivert.display import visible
from lexivert.errors import LexivertError


def run(action: Callable[[], object], start: Path | None = None) -> int:
    """Run a command; a user's mistake, or a file that can't be read or written, is one line on standard error.

    Args:
        action: what the command does; anything but such an error passes, since that is a defect of ours.
        start: a file or folder of the project whose code is to run; where the command was started if None.

    Returns:
        The exit status: 0, or 1 after an error.
    """
    try:
        with _explained_output():
            check_checkout(start or Path.cwd())
            try:
                action()
            finally:  # what a pipe or a disk does not take, it often says only now
                sys.stdout.flush()
    except LexivertError as error:
        return _failed(str(error))
    except OSError as error:
        return _failed(f"{error.filename or 'a file'}: {error.strerror or error}")
    return 0


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
