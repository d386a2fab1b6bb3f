"""Generation without what is banned: units that are are ruled out; texts whose units spell it are written anew."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from lexivert.generation.base import Generator
from lexivert.text.banned import Banned

_ROUNDS = 4
"""How often texts are written anew before what is banned is cut out of them."""


class WithoutBanned:
    """Another generator's texts, none with a banned word or phrase but in what is known beforehand.

    Args:
        generator: writes the texts.
        banned: words and phrases.
    """

    def __init__(self, generator: Generator, banned: Banned) -> None:
        self.generator = generator
        self.banned = banned

    def without(self, units: Sequence[int]) -> WithoutBanned:
        """The same generator for texts without some units."""
        return WithoutBanned(self.generator.without(units), self.banned)

    def generate(self, prefixes: Tensor, known: Tensor | None = None) -> list[list[int]]:
        """One text in units for each prefix; see ``Generator``."""
        ruled_out = set(self.banned.units)
        texts = self.generator.without(sorted(ruled_out)).generate(prefixes, known)
        for _ in range(_ROUNDS):
            rarest = {row: self._rarest(units, known, row) for row, units in enumerate(texts)}
            rows = [row for row, position in rarest.items() if position is not None]
            if not rows:
                return texts
            ruled_out |= {texts[row][position] for row, position in rarest.items() if position is not None}
            generator = self.generator.without(sorted(ruled_out))
            again = generator.generate(prefixes[rows], None if known is None else known[rows])
            for row, units in zip(rows, again, strict=True):
                texts[row] = units
        return [self._cut(units, known, row) for row, units in enumerate(texts)]

    def _rarest(self, units: Sequence[int], known: Tensor | None, row: int) -> int | None:
        """Position of the rarest unit in something banned; None where there is none that may be changed.

        Units are numbered by how often they are used.
        """
        for occurrence in self.banned.find(units):
            free = [p for p in occurrence.positions if known is None or known[row, p] < 0]
            if free:
                return max(free, key=lambda position: units[position])
        return None

    def _cut(self, units: list[int], known: Tensor | None, row: int) -> list[int]:
        while (position := self._rarest(units, known, row)) is not None:
            units = [*units[:position], *units[position + 1 :]]
        return units
