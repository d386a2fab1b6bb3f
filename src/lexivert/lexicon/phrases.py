"""Covering tokens with phrases so that the fewest units are needed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from lexivert.lexicon.rendering import capitalize, uppercase
from lexivert.lexicon.spacing import FIRST_DYNAMIC, shape
from lexivert.lexicon.units import CAP, RESERVED, UPPER, Lexicon

UNIT_COST = 1000
CONTROL_COST = 1001
"""A control unit counts a little more, so that of equally short codings the plainest wins."""
_LEAF = " "
"""Key of a trie node's unit; no token has white space."""
_Trie = dict[str, Any]


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

    def cover(self, tokens: list[str], alone: list[tuple[int, ...]], links: list[int]) -> list[int]:
        """Return the fewest units that write the tokens; of equals, fewest controls, then longest phrases first.

        Args:
            tokens: the token at each place, as a phrase may hold it; ``""`` where a phrase can't.
            alone: the units of each place by itself.
            links: the control unit before each place, or 0 for default spacing.
        """
        count = len(tokens)
        best = [0] * (count + 1)
        choice: list[tuple[int, tuple[int, ...]]] = [(0, ())] * count
        root = self._root
        for start in range(count - 1, -1, -1):
            units = alone[start]
            stop = start + 1
            cost = best[stop] + UNIT_COST * len(units) + (units[0] < len(RESERVED))
            found = (cost, stop, units)
            token = tokens[start]
            node = root.get(token)
            if node is not None:
                found = _extend(node, tokens, links, best, found, start, ())
            if token and token[0].isupper():
                for control, node, rest in self._cased_starts(tokens, start):
                    found = _extend(node, rest, links, best, found, start, (control,))
            best[start], stop, units = found
            choice[start] = (stop, units)
        return _follow(choice, links)

    def _cased_starts(self, tokens: list[str], start: int) -> list[tuple[int, _Trie, list[str]]]:
        """Case controls that may help at ``start``, each with the token's trie node and all tokens' spelling."""
        starts = []
        plain, upper = _uncased(tokens[start])
        node = self._root.get(plain) if plain else None
        if node is not None:
            starts.append((CAP, node, tokens))
        following = tokens[start + 1] if start + 1 < len(tokens) else ""
        if upper and following and _uncased(following)[1]:
            node = self._root.get(upper)
            if node is not None:
                starts.append((UPPER, node, [_uncased(token)[1] if token else "" for token in tokens]))
        return starts


@lru_cache(maxsize=1 << 16)
def _uncased(token: str) -> tuple[str, str]:
    """Spellings from which ``<cap>`` and ``<upper>`` make ``token``; empty where none."""
    uncapitalized, lower = token[0].lower() + token[1:], token.lower()
    return (
        uncapitalized if capitalize(uncapitalized) == token else "",
        lower if lower != token and uppercase(lower) == token else "",
    )


def _extend(
    node: _Trie,
    tokens: list[str],
    links: list[int],
    best: list[int],
    found: tuple[int, int, tuple[int, ...]],
    start: int,
    controls: tuple[int, ...],
) -> tuple[int, int, tuple[int, ...]]:
    """Return ``found`` or a phrase at ``start`` that is cheaper or as cheap and longer, as (cost, stop, units)."""
    cost, stop, units = found
    base = UNIT_COST + len(controls) * CONTROL_COST
    place = start + 1
    while place < len(tokens) and not links[place]:
        child = node.get(tokens[place])
        if child is None:
            break
        node = child
        place += 1
        unit = node.get(_LEAF)
        if unit is not None and best[place] + base <= cost:
            cost, stop, units = best[place] + base, place, (*controls, unit)
    return cost, stop, units


def _follow(choice: list[tuple[int, tuple[int, ...]]], links: list[int]) -> list[int]:
    """Read off the chosen units from left to right, each after the control of its boundary."""
    ids: list[int] = []
    place = 0
    while place < len(choice):
        if links[place]:
            ids.append(links[place])
        place, units = choice[place]
        ids.extend(units)
    return ids
