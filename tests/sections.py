"""Sections of the repository's ``params.yaml`` with some values changed, for tests that need a section's object."""

from functools import cache
from pathlib import Path
from typing import Any

from lexivert.config import Params, load_params
from lexivert.yaml_reader import overridden

REPOSITORY = Path(__file__).resolve().parents[1]


@cache
def repository_params() -> Params:
    """The repository's own params."""
    return load_params(REPOSITORY / "params.yaml")


def section(name: str, **changes: Any) -> Any:
    """A section by dotted name (``token_head``, ``controller.amp``) with changes; a dict changes a subsection."""
    found: Any = repository_params()
    for part in name.split("."):
        found = getattr(found, part)
    return type(found).model_validate(overridden(found.model_dump(), changes))
