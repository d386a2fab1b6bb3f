"""Units to text: every sequence of unit ids has a text, also those that no segmenter writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from lexivert.lexicon.spacing import (
    LOWER,
    NOT,
    UPPER,
    PlainSpacing,
    Shape,
    WikitextSpacing,
    shape,
    shape_of_bytes,
    shape_of_piece,
)
from lexivert.lexicon.tokenizing import wikitext_form
from lexivert.lexicon.units import CAP, END, FIRST_BYTE, JOIN, RESERVED, SPACE, WIKITEXT, Lexicon
from lexivert.lexicon.units import UPPER as UPPER_UNIT

FIRST_LEXICAL = len(RESERVED)
CONTINUES = "##"
"""Mark of a piece that continues the word before it."""


class Item(NamedTuple):
    """A stretch of text between two boundaries.

    Attributes:
        text: in plain spelling.
        shape: how it spaces itself.
        link: 0 for default spacing, or the unit ``JOIN`` or ``SPACE``.
    """

    text: str
    shape: Shape
    link: int


def capitalize(text: str) -> str:
    """Upper-case the first character where that can be undone, else return ``text``."""
    upper = text[0].upper()
    return upper + text[1:] if upper.lower() == text[0] else text


def uppercase(text: str) -> str:
    """Upper-case all characters where that can be undone, else return ``text``."""
    upper = text.upper()
    return upper if upper.lower() == text else text


def phrase_shape(tokens: list[str]) -> Shape:
    """Shape of a unit of several tokens: it attaches as its first and leaves behind what its last does."""
    first, last = shape(tokens[0]), shape(tokens[-1])
    return Shape(first.right, last.left, first.initial)


def join_plain(items: Iterable[Item]) -> str:
    """Write items as ordinary prose."""
    sequence = list(items)
    spacing, parts = PlainSpacing(), list[str]()
    for token, following in zip(sequence, _followings(sequence), strict=True):
        spaced = _is_spaced(token, spacing, following) and bool(parts)
        parts.append(f" {token.text}" if spaced else token.text)
        spacing.advance(token.shape, spaced, following)
    return "".join(parts)


def join_wikitext(items: Iterable[Item]) -> str:
    """Write items in WikiText's convention."""
    sequence = list(items)
    spacing, parts = WikitextSpacing(), list[str]()
    inner = ""  # a token that may go on
    for token, following in zip(sequence, _followings(sequence), strict=True):
        spaced = _is_spaced(token, spacing, following) and bool(parts or inner)
        if spaced or token.link == JOIN or token.shape.right == NOT:
            parts.append(wikitext_form(inner))
            if spaced:
                parts.append(" ")
            inner = ""
        if token.shape.right == NOT:
            parts.append(wikitext_text(token.text.split(" ")))
        else:
            inner += token.text
        spacing.advance(token.shape, spaced, following)
    return "".join((*parts, wikitext_form(inner)))


def _followings(items: list[Item]) -> list[int | None]:
    """How the item after each begins."""
    return [*(item.shape.initial for item in items[1:]), None][: len(items)]


def _is_spaced(token: Item, spacing: PlainSpacing | WikitextSpacing, following: int | None) -> bool:
    if token.link:
        return token.link == SPACE
    return spacing.wants_space(token.shape, following)


def plain_text(tokens: list[str]) -> str:
    """Write the tokens of one unit as ordinary prose."""
    return tokens[0] if len(tokens) == 1 else join_plain(Item(token, shape(token), 0) for token in tokens)


def wikitext_text(tokens: list[str]) -> str:
    """Write the tokens of one unit in WikiText's convention: ``do`` ``n't`` as ``don 't``."""
    text = ""
    for token in tokens:
        if shape(token).right == NOT:
            text += f"{token[0]} {token[1:]}"
        else:
            text += f" {wikitext_form(token)}" if text else wikitext_form(token)
    return text


class Renderer:
    """Writes unit ids as text.

    Control units apply to what comes next: ``<join>`` and ``<space>`` to the boundary (the last of several counts),
    ``<cap>`` and ``<upper>`` to the next unit. Ones that have nothing to apply to are ignored, and so is
    ``<wikitext>`` anywhere but first; ``<end>`` ends the text. Bytes in a row are one UTF-8 string; invalid ones are
    written as U+FFFD.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._size = len(lexicon)
        self._plain: list[str] = list(lexicon.surfaces)
        self._wikitext: list[str] = self._plain.copy()
        self._shapes: list[Shape | None] = [None] * FIRST_LEXICAL
        for unit in range(FIRST_LEXICAL, len(lexicon)):
            self._add(unit, lexicon.surfaces[unit])

    def _add(self, unit: int, surface: str) -> None:
        if surface.startswith(CONTINUES) and len(surface) > len(CONTINUES):
            self._plain[unit] = self._wikitext[unit] = surface[len(CONTINUES) :]
            self._shapes.append(shape_of_piece(surface[len(CONTINUES) :]))
        elif " " in surface:
            tokens = surface.split()
            self._plain[unit], self._wikitext[unit] = plain_text(tokens), wikitext_text(tokens)
            self._shapes.append(phrase_shape(tokens))
        else:
            self._shapes.append(shape(surface))

    def join(self, ids: Iterable[int]) -> str:
        """Write units as text; any sequence of unit ids is accepted.

        Raises:
            ValueError: a number is no unit id.
        """
        units = [int(unit) for unit in ids]
        if units and not (min(units) >= 0 and max(units) < self._size):
            wrong = next(unit for unit in units if not 0 <= unit < self._size)
            raise ValueError(f"{wrong} is not a unit id; the lexicon has units 0 to {self._size - 1}")
        if END in units:
            del units[units.index(END) :]
        if units and units[0] == WIKITEXT:
            return join_wikitext(self._items(units, self._wikitext))
        return join_plain(self._items(units, self._plain))

    def _items(self, units: list[int], texts: list[str]) -> list[Item]:
        items: list[Item] = []
        run = bytearray()
        link = run_link = case = 0
        for unit in units:
            if unit >= FIRST_LEXICAL:
                if run:
                    items.append(_byte_item(run, run_link))
                    run = bytearray()
                token = self._shapes[unit]
                assert token is not None
                text = texts[unit]
                if case:
                    text, token = _cased(text, token, case)
                items.append(Item(text, token, link))
                link = case = 0
            elif unit >= FIRST_BYTE:
                if link and run:
                    items.append(_byte_item(run, run_link))
                    run = bytearray()
                if not run:
                    run_link = link
                run.append(unit - FIRST_BYTE)
                link = case = 0
            elif unit in (CAP, UPPER_UNIT):
                case = unit
            elif unit != WIKITEXT:
                link = unit
        if run:
            items.append(_byte_item(run, run_link))
        return items


def _byte_item(run: bytearray, link: int) -> Item:
    text = run.decode("utf-8", errors="replace")
    return Item(text, shape_of_bytes(text), link)


def _cased(text: str, token: Shape, case: int) -> tuple[str, Shape]:
    cased = capitalize(text) if case == CAP else uppercase(text)
    if cased == text or token.initial != LOWER:
        return cased, token
    return cased, token._replace(initial=UPPER)
