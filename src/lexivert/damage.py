"""Damaged artifacts: whatever goes wrong with a file's content becomes one line that names it and says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pydantic
import safetensors

from lexivert.errors import DamagedArtifactError
from lexivert.yaml_reader import fault

_ERRORS = (KeyError, OSError, RuntimeError, TypeError, ValueError, safetensors.SafetensorError)
"""What reading a file's content raises that was cut, overwritten, or changed in one of its entries."""


@contextlib.contextmanager
def damage(path: Path, advice: str, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn errors of reading a file into one.

    Args:
        path: of the file.
        advice: how to get another.
        also: further errors that whoever reads it has for what is no such file.

    Raises:
        DamagedArtifactError: the content is not what it should be.
    """
    errors: tuple[type[Exception], ...] = (*_ERRORS, *also)
    try:
        yield
    except errors as error:
        if isinstance(error, pydantic.ValidationError):
            reason = fault(error)
        else:
            reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedArtifactError(f"{path} is damaged ({reason}); {advice}") from error
