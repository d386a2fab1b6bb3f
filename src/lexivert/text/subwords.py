"""Out-of-vocabulary tokens: spelled in parts that are units, in word pieces, and in UTF-8 bytes for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from lexivert.text.detokenizer import CONTINUES, capitalize, uppercase
from lexivert.text.lexicon import CAP, RESERVED, UPPER, Lexicon
from lexivert.text.phrases import BYTE_COST, CONTROL_COST, PIECE_COST, UNIT_COST
from lexivert.text.shapes import (
    DIGIT,
    FIRST_DYNAMIC,
    PIECE,
    THOUSAND,
    Shape,
    initial,
    shape,
    shape_of_bytes,
    shape_of_piece,
)
from lexivert.text.spacing import PlainSpacing
from lexivert.text.wikitext import WikitextSpacing

MAX_PART = 32
"""Longest part of a token that is looked up, in characters."""
_INNER_MARKS = frozenset("-,.'")
_FORBIDDEN = 1_000_000
_CACHED = 1 << 14
"""Characters remembered."""


class Part(NamedTuple):
    """A stretch of a token with the units that write it.

    Attributes:
        text: as written.
        shape: how it spaces itself.
        units: unit ids, control units for case included, those for spacing not.
        is_bytes: whether the units are UTF-8 bytes or strings of them.
    """

    text: str
    shape: Shape
    units: tuple[int, ...]
    is_bytes: bool = False

    @property
    def cost(self) -> int:
        """Units needed, with a little more for controls, pieces and bytes; see ``phrases``."""
        if self.is_bytes:
            return BYTE_COST * len(self.units)
        last = PIECE_COST if self.shape.right == PIECE else UNIT_COST
        return CONTROL_COST * (len(self.units) - 1) + last


class _Node(NamedTuple):
    """Cheapest way to write the characters so far: its last part, and what is before it; neither at the start."""

    cost: int
    spacing: PlainSpacing | WikitextSpacing
    part: Part | None
    before: _Node | None


class ByteSpeller:
    """Writes text as bytes, which is always possible, each character in the fewest units that write its bytes."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._unit_of = {string: unit for unit, string in lexicon.bytes_of.items()}
        self._parts: dict[str, Part] = {}

    def part(self, text: str) -> Part:
        """Return text as one part."""
        units = tuple(unit for character in text for unit in self.of_character(character).units)
        return Part(text, shape_of_bytes(text), units, is_bytes=True)

    def of_character(self, character: str) -> Part:
        """Return a character as a part."""
        known = self._parts.get(character)
        if known is None:
            if len(self._parts) >= _CACHED:
                self._parts.clear()
            units = self._fewest(character.encode())
            known = self._parts[character] = Part(character, shape_of_bytes(character), units, is_bytes=True)
        return known

    def _fewest(self, string: bytes) -> tuple[int, ...]:
        """Fewest units of a string of at most four bytes; of equals the one with the longest first."""
        if not string:
            return ()
        cuts = (cut for cut in range(len(string), 0, -1) if string[:cut] in self._unit_of)
        return min(((self._unit_of[string[:cut]], *self._fewest(string[cut:])) for cut in cuts), key=len)


class SubwordSpeller:
    """Finds the fewest units that write a token.

    Args:
        lexicon: the units.
        spacing: class of the rules that say which parts attach to each other without a ``<join>``.
        spell_bytes: what writes characters that no unit has.
    """

    def __init__(
        self, lexicon: Lexicon, spacing: type[PlainSpacing | WikitextSpacing], spell_bytes: ByteSpeller
    ) -> None:
        self._bytes = spell_bytes
        self._words: dict[str, int] = {}
        self._pieces: dict[str, int] = {}
        for unit in range(len(RESERVED), len(lexicon)):
            surface = lexicon.surfaces[unit]
            if unit in lexicon.bytes_of:
                continue
            if surface.startswith(CONTINUES):
                self._pieces[surface[len(CONTINUES) :]] = unit
            elif " " not in surface:
                self._words[surface] = unit
        self._spacing = spacing
        self._longest = min(MAX_PART, max(map(len, (*self._words, *self._pieces)), default=1))

    def spell(self, token: str) -> tuple[Part, ...]:
        """Return the parts of one token (no white space)."""
        unit = self._words.get(token)
        return self._fewest(token) if unit is None else (Part(token, shape(token), (unit,)),)

    def _fewest(self, token: str) -> tuple[Part, ...]:
        nodes: list[_Node | None] = [None] * (len(token) + 1)
        nodes[0] = _Node(0, self._spacing(), None, None)
        has_case = token != token.lower()
        for start in range(len(token)):
            for stop in range(min(start + self._longest, len(token)), start, -1):
                self._reach(nodes, token, start, stop, has_case)
            self._relax(nodes, token, start, start + 1, self._bytes.of_character(token[start]))
        last = nodes[-1]
        assert last is not None
        return _parts_up_to(last)

    def _reach(self, nodes: list[_Node | None], token: str, start: int, stop: int, has_case: bool) -> None:
        """Try every unit that writes the characters from ``start`` to ``stop``, with case control or not."""
        node, known = nodes[start], nodes[stop]
        assert node is not None
        limit = node.cost + UNIT_COST
        if known is not None and known.cost <= limit:
            return
        text = token[start:stop]
        for controls, plain in _casings(text) if has_case else (((), text),):
            unit = self._words.get(plain)
            if unit is not None:
                self._relax(nodes, token, start, stop, Part(text, shape(text), (*controls, unit)))
            unit = self._pieces.get(plain) if start else None
            if unit is not None:
                self._relax(nodes, token, start, stop, Part(text, shape_of_piece(text), (*controls, unit)))

    def _relax(self, nodes: list[_Node | None], token: str, start: int, stop: int, part: Part) -> None:
        """Keep the path to ``start`` continued by ``part`` if it is the cheapest path to ``stop``."""
        node, known = nodes[start], nodes[stop]
        assert node is not None
        cost = node.cost + part.cost
        if known is not None and known.cost <= cost:
            return
        following = self._following(token[stop : stop + 4]) if part.shape.right >= FIRST_DYNAMIC else None
        merges = part.is_bytes and node.part is not None and node.part.is_bytes
        if node.part is not None and not merges and node.spacing.wants_space(part.shape, following):
            cost += CONTROL_COST if self._may_join(token[start - 1], token[start]) else _FORBIDDEN
            if known is not None and known.cost <= cost:
                return
        spacing = node.spacing.copy()
        spacing.advance(part.shape, spaced=False, following=following)
        nodes[stop] = _Node(cost, spacing, part, node)

    def _may_join(self, before: str, after: str) -> bool:
        """Whether ``<join>`` gives what is wanted; in WikiText marks inside words aren't joined, but spaced out."""
        return self._spacing is PlainSpacing or not (before in _INNER_MARKS or after in _INNER_MARKS)

    def _following(self, rest: str) -> int | None:
        """How what comes after a part will begin; three digits only count as such if they are one unit."""
        if not rest:
            return None
        begins = initial(rest)
        return begins if begins != THOUSAND or rest in self._words else DIGIT


def _casings(text: str) -> list[tuple[tuple[int, ...], str]]:
    """Spellings from which ``text`` comes about, with the control units needed."""
    lower = text.lower()
    casings: list[tuple[tuple[int, ...], str]] = [((), text)]
    if lower == text:
        return casings
    uncapitalized = text[0].lower() + text[1:]
    if uncapitalized != text and capitalize(uncapitalized) == text:
        casings.append(((CAP,), uncapitalized))
    if lower != uncapitalized and uppercase(lower) == text:
        casings.append(((UPPER,), lower))
    return casings


def _parts_up_to(node: _Node) -> tuple[Part, ...]:
    """Read the parts off, from the last to the first."""
    parts: list[Part] = []
    while node.part is not None and node.before is not None:
        parts.append(node.part)
        node = node.before
    return tuple(merge_bytes(reversed(parts)))


def merge_bytes(parts: Iterable[Part]) -> list[Part]:
    """Make one part of those that are bytes and follow each other."""
    merged: list[Part] = []
    for is_bytes, group in groupby(parts, key=lambda part: part.is_bytes):
        run = list(group)
        if is_bytes and len(run) > 1:
            text = "".join(part.text for part in run)
            units = tuple(unit for part in run for unit in part.units)
            run = [Part(text, shape_of_bytes(text), units, is_bytes=True)]
        merged.extend(run)
    return merged


def can_be_in_phrase(part: Part) -> bool:
    """Whether a part spaces itself as the same token in a phrase does."""
    return part.shape.right < FIRST_DYNAMIC and part.shape.right != PIECE and not part.is_bytes
