"""Detokenizer: units to text, for every sequence of unit ids, also those that no segmenter writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from lexivert.text.lexicon import CAP, CONTROL, EOS, JOIN, RESERVED, SPACE, WIKITEXT, Lexicon
from lexivert.text.lexicon import UPPER as UPPER_UNIT
from lexivert.text.shapes import (
    AT_START,
    FIRST_QUOTE,
    LOWER,
    UPPER,
    Shape,
    shape,
    shape_of_bytes,
    shape_of_piece,
)
from lexivert.text.spacing import AFTER, OWN, SPACED, Line, PlainSpacing
from lexivert.text.wikitext import WikitextSpacing, join_wikitext, wikitext_text

FIRST_LEXICAL = len(RESERVED)
_Value = TypeVar("_Value")
CONTINUES = "##"
"""Mark of a piece that continues the word before it."""


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


def join_plain(line: Line) -> str:
    """Write a line as ordinary prose."""
    spacing, parts, left = PlainSpacing(), list[str](), AT_START
    for place, (text, token, link) in enumerate(zip(*line, strict=True)):
        right = token[0]
        if right < FIRST_QUOTE:  # PlainSpacing's rules, without its calls
            spaced = link == SPACE if link else SPACED[left][right]
            after = AFTER[spaced and bool(parts)][left][right]
            left = token[1] if after == OWN else after
        else:
            spacing.left, following = left, line.following(place)
            spaced = link == SPACE if link else spacing.wants_space(token, following)
            spacing.advance(token, spaced and bool(parts), following)
            left = spacing.left
        if spaced and parts:
            parts.append(" ")
        parts.append(text)
    return "".join(parts)


def plain_text(tokens: list[str]) -> str:
    """Write the tokens of one unit as ordinary prose."""
    return join_plain(Line(tokens, [shape(token) for token in tokens], [0] * len(tokens)))


class Stretch(NamedTuple):
    """What one unit, or a run of bytes, writes.

    Attributes:
        text: in ordinary spelling.
        spaced: whether white space stands before it.
        positions: of its units, those that set its case or spacing left out.
    """

    text: str
    spaced: bool
    positions: tuple[int, ...]


class _OfUnits(dict[int, _Value]):
    """A function of a unit's surface by unit id, found when a unit is first written: a text has few of them."""

    def __init__(self, surfaces: Sequence[str], find: Callable[[str], _Value]) -> None:
        super().__init__()
        self._surfaces, self._find = surfaces, find

    def __missing__(self, unit: int) -> _Value:
        self[unit] = value = self._find(self._surfaces[unit])
        return value


def _is_piece(surface: str) -> bool:
    return surface.startswith(CONTINUES) and len(surface) > len(CONTINUES)


def _written(surface: str, join: Callable[[list[str]], str]) -> str:
    """What a unit writes, whose tokens are joined by the rules of a convention."""
    if _is_piece(surface):
        return surface[len(CONTINUES) :]
    return join(surface.split()) if " " in surface else surface


def _shape_of(surface: str) -> Shape:
    """How a unit attaches; never asked of control units."""
    if _is_piece(surface):
        return shape_of_piece(surface[len(CONTINUES) :])
    return phrase_shape(surface.split()) if " " in surface else shape(surface)


class Detokenizer:
    """Writes unit ids as text.

    Control units apply to what comes next: ``<join>`` and ``<space>`` to the boundary (the last of several counts),
    ``<cap>`` and ``<upper>`` to the next unit. Ones that have nothing to apply to are ignored, and so is
    ``<wikitext>`` anywhere but first; ``<end>`` ends the text. Bytes in a row are one UTF-8 string; invalid ones are
    written as U+FFFD.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self._size = len(lexicon)
        self._bytes = lexicon.bytes_of
        self._special = frozenset(self._bytes).union(range(FIRST_LEXICAL))
        self._plain = _OfUnits(lexicon.surfaces, partial(_written, join=plain_text))
        self._wikitext = _OfUnits(lexicon.surfaces, partial(_written, join=wikitext_text))
        self._shapes = _OfUnits(lexicon.surfaces, _shape_of)

    def join(self, ids: Iterable[int]) -> str:
        """Write units as text; any sequence of unit ids is accepted.

        Raises:
            ValueError: a number is no unit id.
        """
        units = [int(unit) for unit in ids]
        if not units:
            return ""
        if min(units) < 0 or max(units) >= self._size:
            wrong = next(unit for unit in units if not 0 <= unit < self._size)
            raise ValueError(f"{wrong} is not a unit id; the lexicon has units 0 to {self._size - 1}")
        if EOS in units:
            del units[units.index(EOS) :]
        return self.write(units)

    def write(self, units: list[int]) -> str:
        """Write units that are known to be units, without EOS."""
        if units and units[0] == WIKITEXT:
            return join_wikitext(self._line(units, self._wikitext))
        return join_plain(self._line(units, self._plain))

    def stretches(self, units: Sequence[int]) -> list[Stretch]:
        """A text of units by the stretches that it is written in; ordinary text is their texts and white space.

        Text in WikiText's convention is given in ordinary spelling, ``red-tipped`` for ``red @-@ tipped``.
        """
        written = list(units[: units.index(EOS)] if EOS in units else units)
        line = self._line(written, self._plain)
        spacing = WikitextSpacing() if written[:1] == [WIKITEXT] else PlainSpacing()
        stretches = zip(line.texts, _spaced(line, spacing), self._owners(written), strict=True)
        return [Stretch(text, spaced, tuple(positions)) for text, spaced, positions in stretches]

    def _owners(self, units: list[int]) -> list[list[int]]:
        """Positions of the units that write each stretch: bytes in a row without a link between them are one."""
        owners: list[list[int]] = []
        is_open = linked = False
        for position, unit in enumerate(units):
            if unit < len(CONTROL):
                linked = linked or unit in (JOIN, SPACE)
                continue
            is_byte = unit in self._bytes
            if is_byte and is_open and not linked:
                owners[-1].append(position)
            else:
                owners.append([position])
            is_open, linked = is_byte, False
        return owners

    def _line(self, units: list[int], texts: Mapping[int, str]) -> Line:
        if self._special.isdisjoint(units):
            return Line([texts[unit] for unit in units], [self._shapes[unit] for unit in units], [0] * len(units))
        line = Line([], [], [])
        run = bytearray()
        link = case = 0
        for unit in units:
            string = self._bytes.get(unit)
            if run and (link if string else unit >= FIRST_LEXICAL):
                _end_run(line, run)
            if string:
                if not run:
                    line.links.append(link)
                run += string
            elif unit >= FIRST_LEXICAL:
                text, token = _cased(texts[unit], self._shapes[unit], case)
                line.texts.append(text)
                line.shapes.append(token)
                line.links.append(link)
            else:
                link, case = _control(unit, link, case)
                continue
            link = case = 0
        if run:
            _end_run(line, run)
        return line


def _spaced(line: Line, spacing: PlainSpacing | WikitextSpacing) -> Iterator[bool]:
    """Whether white space stands before each stretch."""
    for place, (token, link) in enumerate(zip(line.shapes, line.links, strict=True)):
        following = line.following(place)
        spaced = place > 0 and (link == SPACE if link else spacing.wants_space(token, following))
        spacing.advance(token, spaced, following)
        yield spaced


def _end_run(line: Line, run: bytearray) -> None:
    """Add a run of bytes, whose link is there already, and empty it."""
    text = run.decode("utf-8", errors="replace")
    line.texts.append(text)
    line.shapes.append(shape_of_bytes(text))
    run.clear()


def _control(unit: int, link: int, case: int) -> tuple[int, int]:
    """Return link and case as set by a control unit."""
    if unit in (JOIN, SPACE):
        return unit, case
    return link, unit if unit in (CAP, UPPER_UNIT) else case


def _cased(text: str, token: Shape, case: int) -> tuple[str, Shape]:
    if not case:
        return text, token
    cased = capitalize(text) if case == CAP else uppercase(text)
    if cased == text or token.initial != LOWER:
        return cased, token
    return cased, token._replace(initial=UPPER)
