"""What a generator is: texts of like meaning for semantic prefixes, from which no words can be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, Self, runtime_checkable

from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.priors.base import Prior
from lexivert.registry import Registry


@runtime_checkable
class Generator(Protocol):
    """Writes texts whose sentence embeddings come near to given ones (embedding inversion)."""

    def generate(self, prefixes: Tensor, known: Tensor | None = None) -> list[list[int]]:
        """One text in units for each prefix.

        Args:
            prefixes: sentence embeddings of any positive length. Shape: (B, S).
            known: units known beforehand, -1 elsewhere. Shape: (B, N).
        """
        ...

    def without(self, units: Sequence[int]) -> Self:
        """The same generator for texts without some units."""
        ...


GENERATORS: Registry[Callable[[Encoder, Prior], Generator]] = Registry("generator")
"""Factories of generators: encoder (lexicon, segmenter, backbone) and prior over units."""
