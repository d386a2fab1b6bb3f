"""All generators of the project, imported so that they are registered, and how one is made."""

from __future__ import annotations

from lexivert.generation import (  # noqa: F401 they register their generators
    baselines,
    hill_climbing,
    prompted_generator,
    selector_placer,
)
from lexivert.generation import language_model_search as search
from lexivert.generation.base import GENERATORS, Generator, GeneratorParts
from lexivert.generation.params import AUTO

__all__ = ["GENERATORS", "make_generator"]


def make_generator(name: str, parts: GeneratorParts) -> Generator:
    """A generator by its name, or the best one for ``auto``.

    Raises:
        LexivertError: there is no such generator, or not the parts for it.
    """
    if name == AUTO:
        name = "hill_climbing" if search.missing_part(parts) else "language_model_search"
    return GENERATORS.make(name)(parts)
