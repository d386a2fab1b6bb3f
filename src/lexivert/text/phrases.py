"""Minimum-cost segmentation: tokens covered with phrases so that the fewest units are needed (shortest path)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from lexivert.text.detokenizer import capitalize, uppercase
from lexivert.text.lexicon import CAP, RESERVED, UPPER, Lexicon
from lexivert.text.shapes import FIRST_DYNAMIC, shape

UNIT_COST, CONTROL_COST, PIECE_COST, BYTE_COST = 1000, 1001, 1002, 1003
"""Of equally short codings the plainest wins: words, then case and spacing controls, then pieces, then bytes."""
_LEAF = " "
"""Key of a trie node's unit; no token has white space."""
_Trie = dict[str, Any]


class Place(NamedTuple):
    """What stands at one place of a text.

    Attributes:
        token: as a phrase may have it; ``""`` where no phrase can.
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
        stops = [0] * count
        chosen: list[tuple[int, ...]] = [()] * count
        # What a phrase that began before may go on with; a correction of spacing and the end can't be in one.
        tokens = ["" if link else place[0] for place, link in zip(places, links, strict=True)]
        tokens.append("")
        for start in range(count - 1, -1, -1):
            _, _, units, cost, node, cased = places[start]
            stop = end = start + 1
            cost += best[end]
            child = node.get(tokens[end]) if node is not None else None
            while child is not None:
                end += 1
                unit = child.get(_LEAF)
                if unit is not None and best[end] + UNIT_COST <= cost:
                    cost, stop, units = best[end] + UNIT_COST, end, (unit,)
                child = child.get(tokens[end])
            if cased:
                cost, stop, units = _in_other_case(places, links, best, start, (cost, stop, units))
            best[start], stops[start], chosen[start] = cost, stop, units
        return _follow(stops, chosen, links)


def _in_other_case(
    places: Sequence[Place],
    links: Sequence[int],
    best: list[int],
    start: int,
    found: tuple[int, int, tuple[int, ...]],
) -> tuple[int, int, tuple[int, ...]]:
    """Return ``found`` or a cheaper phrase at ``start`` after a case control, as (cost, end, units)."""
    for control, node, column in places[start].cased:
        child, end = node, start + 1
        while end < len(places) and not links[end]:
            child = child.get(places[end][column])  # type: ignore[arg-type, assignment]  # columns 0, 1: strings
            if child is None:
                break
            end += 1
            cost = best[end] + UNIT_COST + CONTROL_COST
            if _LEAF in child and cost <= found[0]:
                found = cost, end, (control, child[_LEAF])
    return found


def _follow(stops: list[int], chosen: list[tuple[int, ...]], links: Sequence[int]) -> list[int]:
    """Read off the chosen units from left to right, each after the control of its boundary."""
    ids: list[int] = []
    place = 0
    while place < len(stops):
        if links[place]:
            ids.append(links[place])
        ids.extend(chosen[place])
        place = stops[place]
    return ids
