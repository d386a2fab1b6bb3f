"""Insertion orders: texts that are not complete yet, and what the Selector and the Placer should do about them.

A text is written by insertions, the units that tell most first (Stern et al. 2019, Insertion Transformer, with an
order of its own). In training some of what stands there is wrong, so that taking it out is learned, too (Gu et al.
2019, Levenshtein Transformer): a unit that is not the text's, or one that belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_SPREAD = 2.0  # nats of surprisal that make a unit e times as likely to come before another
_NEXT = 0.8  # weight of each missing unit in proportion to the one that comes before it


class Placed(NamedTuple):
    """A unit in the buffer.

    Attributes:
        unit: its id.
        position: its place in the complete text, or None where it does not belong.
    """

    unit: int
    position: int | None


class Insertion(NamedTuple):
    """A unit that is missing.

    Attributes:
        unit: its id.
        slot: units of the buffer that stand before it.
        weight: how much it should come next; a buffer's weights sum to 1.
    """

    unit: int
    slot: int
    weight: float


@dataclass(frozen=True)
class PartialText:
    """A text in the making, and what is missing.

    Attributes:
        buffer: what stands there, in the order in which it stands.
        missing: insertions that complete the text, the next one first.
    """

    buffer: tuple[Placed, ...]
    missing: tuple[Insertion, ...]

    @classmethod
    def of(cls, units: Sequence[int], buffer: Sequence[Placed], coming: Sequence[int]) -> PartialText:
        """Find the slot and weight of what is missing.

        A missing unit belongs right behind the last unit of the buffer that stands before it in the text.

        Args:
            units: of the complete text.
            buffer: what stands there; those that belong there are in the text's order.
            coming: positions of what is missing, in the order of insertion.
        """
        weights = _NEXT ** np.arange(len(coming))
        weights /= weights.sum() if len(coming) else 1.0
        places = [placed.position for placed in buffer]
        missing = [
            Insertion(units[position], _slot(places, position), float(weight))
            for position, weight in zip(coming, weights, strict=True)
        ]
        return cls(tuple(buffer), tuple(missing))


def _slot(places: Sequence[int | None], position: int) -> int:
    """Place behind the last of those that belong before a position."""
    before = (slot for slot, place in enumerate(places, start=1) if place is not None and place < position)
    return max(before, default=0)


def insertion_order(surprisal: npt.NDArray[np.floating], rng: np.random.Generator) -> list[int]:
    """Positions of a text in an order of insertion: what tells most tends to come first.

    A draw from a Plackett-Luce distribution (Gumbel noise on the scores).

    Args:
        surprisal: nats of each unit under the unigram prior. Shape: (N,).
        rng: source of the draw.
    """
    keys = surprisal / _SPREAD + rng.gumbel(size=len(surprisal))
    order: list[int] = np.argsort(-keys, kind="stable").tolist()
    return order


def partial_text(units: Sequence[int], order: Sequence[int], count: int) -> PartialText:
    """The text after its first ``count`` insertions.

    Args:
        units: of the complete text, N of them.
        order: positions in the order of insertion.
        count: 0 to N.
    """
    buffer = [Placed(units[position], position) for position in sorted(order[:count])]
    return PartialText.of(units, buffer, order[count:])


def disturbed(
    units: Sequence[int],
    order: Sequence[int],
    count: int,
    intruders: Sequence[int],
    moved: int,
    rng: np.random.Generator,
) -> PartialText:
    """The same with some units that do not belong where they stand.

    Args:
        units: of the complete text, N of them.
        order: positions in the order of insertion.
        count: 0 to N, insertions that were made.
        intruders: units that are not missing; each is put somewhere.
        moved: units of the buffer that are put elsewhere, at most; they are the next to be inserted.
        rng: draws the places.
    """
    buffer = [Placed(units[position], position) for position in sorted(order[:count])]
    out = [buffer.pop(int(rng.integers(len(buffer)))) for _ in range(min(moved, count))]
    for unit in [*(placed.unit for placed in out), *intruders]:
        buffer.insert(int(rng.integers(len(buffer) + 1)), Placed(unit, None))
    taken_out = [placed.position for placed in out if placed.position is not None]
    return PartialText.of(units, buffer, [*taken_out, *order[count:]])
