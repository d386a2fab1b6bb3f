"""All generators of the project, imported so that they are registered, and which of them a model uses."""

from __future__ import annotations

from lexivert.generation import (  # noqa: F401 they register their generators
    baselines,
    hill_climbing,
    prompted_generator,
    selector_placer,
)
from lexivert.generation import language_model_search as search
from lexivert.generation.base import GENERATORS, Generator, GeneratorParts

__all__ = ["GENERATORS", "best_generator"]


def best_generator(parts: GeneratorParts) -> Generator:
    """The best generator that some parts suffice for: language-model search, else hill climbing."""
    name = "language_model_search" if search.is_possible(parts) else "hill_climbing"
    return GENERATORS.make(name)(parts)
