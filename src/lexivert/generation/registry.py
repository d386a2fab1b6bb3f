"""All generators of the project, imported so that they are registered, and which of them a model uses."""

from __future__ import annotations

from lexivert.generation import (  # noqa: F401 they register their generators
    baselines,
    hill_climbing,
    prompted_generator,
    selector_placer,
)
from lexivert.generation.base import GENERATORS, GeneratorParts

__all__ = ["GENERATORS", "default_generator"]


def default_generator(parts: GeneratorParts) -> str:
    """Name of the best generator that some parts suffice for."""
    del parts
    return "hill_climbing"
