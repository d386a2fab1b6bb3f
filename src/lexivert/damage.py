"""Damaged artifacts: whatever goes wrong with a file's content becomes one line that names it and says what to do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pydantic
import safetensors

from lexivert.errors import DamagedArtifactError
from lexivert.yaml_reader import fault

_ERRORS = (
    AssertionError,
    AttributeError,
    KeyError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    safetensors.SafetensorError,
)


@contextlib.contextmanager
def damage(path: Path, advice: str) -> Iterator[None]:
    """Turn errors of reading a file into one.

    Raises:
        DamagedArtifactError: the content is not what it should be; ``advice`` says how to get another.
    """
    try:
        yield
    except _ERRORS as error:
        if isinstance(error, pydantic.ValidationError):
            reason = fault(error)
        else:
            reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedArtifactError(f"{path} is damaged ({reason}); {advice}") from error
