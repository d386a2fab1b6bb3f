"""Covering tokens with phrases so that the fewest units are needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lexivert.lexicon.rendering import capitalize, uppercase
from lexivert.lexicon.shapes import FIRST_DYNAMIC, PIECE, shape
from lexivert.lexicon.units import CAP, FIRST_BYTE, RESERVED, UPPER, Lexicon

UNIT_COST, CONTROL_COST, PIECE_COST, BYTE_COST = 1000, 1001, 1002, 1003
"""Of equally short codings the plainest wins: words, then case and spacing controls, then pieces, then bytes."""
_LEAF = " "
"""Key of a trie node's unit; no token has white space."""
_Trie = dict[str, Any]


def cost_of(units: tuple[int, ...], right: int) -> int:
    """Return the cost of a part that attaches by ``right``; its units are all bytes, or a control or none and one."""
    if FIRST_BYTE <= units[0] < len(RESERVED):
        return BYTE_COST * len(units)
    return CONTROL_COST * (len(units) - 1) + (PIECE_COST if right == PIECE else UNIT_COST)


class Place(NamedTuple):
    """What stands at one place of a text.

    Attributes:
        token: as a phrase may hold it; ``""`` where no phrase can.
        lower: spelling from which ``<upper>`` makes ``token``; ``""`` where there is none.
        units: the place's own units.
        cost: of ``units``.
        node: trie node of ``token``, if it begins a phrase.
        cased: (control unit, trie node, 0 or 1 for the spelling that goes on) of phrases that begin in another case.
    """

    token: str
    lower: str
    units: tuple[int, ...]
    cost: int
    node: _Trie | None
    cased: tuple[tuple[int, _Trie, int], ...]


class PhraseTrie:
    """Units of several tokens, as nested dicts over tokens."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._root: _Trie = {}
        for unit in range(len(RESERVED), len(lexicon)):
            if " " in lexicon.surfaces[unit]:
                self._add(lexicon.surfaces[unit].split(" "), unit)

    def _add(self, tokens: list[str], unit: int) -> None:
        if not all(token and shape(token).right < FIRST_DYNAMIC for token in tokens):
            return
        node = self._root
        for token in tokens:
            node = node.setdefault(token, {})
        node[_LEAF] = unit

    def place(self, token: str, units: tuple[int, ...], cost: int = UNIT_COST) -> Place:
        """Look up a place; ``token`` is ``""`` where no phrase can stand."""
        if not token:
            return Place("", "", units, cost, None, ())
        uncapitalized, lower = token[0].lower() + token[1:], token.lower()
        cased = []
        if uncapitalized != token and capitalize(uncapitalized) == token and uncapitalized in self._root:
            cased.append((CAP, self._root[uncapitalized], 0))
        if lower == token or uppercase(lower) != token:
            lower = ""
        elif lower in self._root:
            cased.append((UPPER, self._root[lower], 1))
        return Place(token, lower, units, cost, self._root.get(token), tuple(cased))

    def cover(self, places: Sequence[Place], links: Sequence[int]) -> list[int]:
        """Return the fewest units that write the places; of equals, fewest controls, then longest phrases first.

        Args:
            places: what stands at each place.
            links: the control unit before each place, or 0 for default spacing.
        """
        count = len(places)
        best = [0] * (count + 1)
        choice: list[tuple[int, tuple[int, ...]]] = [(0, ())] * count
        for start in range(count - 1, -1, -1):
            _, _, units, cost, node, cased = places[start]
            stop = start + 1
            cost += best[stop]
            if stop < count and not links[stop]:
                if node is not None and places[stop].token in node:
                    found = _cheapest(node, 0, places, links, best, start)
                    if found is not None and found[0] + UNIT_COST <= cost:
                        cost, stop, units = found[0] + UNIT_COST, found[1], (found[2],)
                for control, node, column in cased:
                    found = _cheapest(node, column, places, links, best, start)
                    if found is not None and found[0] + UNIT_COST + CONTROL_COST <= cost:
                        cost, stop, units = found[0] + UNIT_COST + CONTROL_COST, found[1], (control, found[2])
            best[start] = cost
            choice[start] = (stop, units)
        return _follow(choice, links)


def _cheapest(
    node: _Trie, column: int, places: Sequence[Place], links: Sequence[int], best: list[int], start: int
) -> tuple[int, int, int] | None:
    """Return (cost of what comes after, end, unit) of the best phrase at ``start``, whose trie node is ``node``."""
    found = None
    place = start + 1
    while place < len(places) and not links[place]:
        child = node.get(places[place][column])  # type: ignore[arg-type]  # columns 0 and 1 are strings
        if child is None:
            break
        node = child
        place += 1
        if _LEAF in node and (found is None or best[place] <= found[0]):
            found = best[place], place, node[_LEAF]
    return found


def _follow(choice: list[tuple[int, tuple[int, ...]]], links: Sequence[int]) -> list[int]:
    """Read off the chosen units from left to right, each after the control of its boundary."""
    ids: list[int] = []
    place = 0
    while place < len(choice):
        if links[place]:
            ids.append(links[place])
        place, units = choice[place]
        ids.extend(units)
    return ids
