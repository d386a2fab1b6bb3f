"""Detokenisation rules: whether white space stands between two neighbouring tokens when nothing says otherwise.

A token's ``Shape`` says how it attaches to what is before it and what it leaves behind; ``PlainSpacing`` and
``WikitextSpacing`` walk over shapes from left to right and answer for each boundary. Straight quotes, underscores,
hyphens and dashes depend on what came before: a straight quote opens where none is open, an infix mark (hyphen,
dash, slash) that is attached on its left attaches on its right too. The walk is told the true spacing, so that one
correction also sets right what follows from it. The rules were chosen by counting the corrections that Gutenberg,
WordNet and WikiText need (``benchmarks/segmentation.py``).
"""

from __future__ import annotations

from typing import NamedTuple

from lexivert.text.shapes import (
    AFTER_CJK,
    AFTER_CLOSE,
    AFTER_FREE_HYPHEN,
    AFTER_FREE_INFIX,
    AFTER_INFIX,
    AFTER_NUMBER,
    AFTER_NUMBER_COLON,
    AFTER_NUMBER_COMMA,
    AFTER_NUMBER_POINT,
    AFTER_OPEN,
    AFTER_PLURAL,
    AFTER_SYMBOL,
    AT_START,
    BLANK,
    CJK,
    CLITIC,
    CLOSE,
    COLON,
    COMMA,
    ELISION,
    EN_DASH,
    FIRST_DYNAMIC,
    FIRST_QUOTE,
    HYPHEN,
    INFIX,
    LETTERS,
    NOT,
    NUMBER,
    PIECE,
    POINT,
    SINGLE,
    STAR,
    THOUSANDS,
    TICK,
    Shape,
)


def _spaced_table() -> list[list[bool]]:
    attached = {CLOSE, CLITIC, NOT, PIECE, LETTERS, INFIX, HYPHEN, POINT, COMMA, COLON, CJK, BLANK}
    table = [[right not in attached for right in range(STAR + 1)] for _ in range(AFTER_PLURAL + 1)]
    for left in (AT_START, AFTER_OPEN, AFTER_INFIX, AFTER_CJK):
        table[left] = [False] * (STAR + 1)
    for left in (AFTER_CLOSE, AFTER_SYMBOL, AFTER_FREE_HYPHEN, AFTER_FREE_INFIX):
        table[left][LETTERS] = table[left][HYPHEN] = True
    for left in (AFTER_SYMBOL, AFTER_FREE_HYPHEN, AFTER_FREE_INFIX):
        table[left][CJK] = table[left][CLITIC] = True
    for left in (AFTER_NUMBER, AFTER_FREE_HYPHEN, AFTER_NUMBER_POINT, AFTER_NUMBER_COLON):
        table[left][NUMBER] = table[left][THOUSANDS] = False
    table[AFTER_NUMBER_COMMA][THOUSANDS] = table[AFTER_NUMBER][EN_DASH] = False
    return table


def _after_table(spaced: bool) -> list[list[int]]:
    table = [[OWN] * FIRST_DYNAMIC + [AFTER_CLOSE] * (STAR + 1 - FIRST_DYNAMIC) for _ in range(AFTER_PLURAL + 1)]
    for left, row in enumerate(table):
        free = spaced or left == AT_START
        row[INFIX] = row[EN_DASH] = AFTER_FREE_INFIX if free else AFTER_INFIX
        row[HYPHEN] = AFTER_FREE_HYPHEN if free else AFTER_INFIX
        if left == AFTER_NUMBER and not spaced:
            row[POINT], row[COMMA], row[COLON] = AFTER_NUMBER_POINT, AFTER_NUMBER_COMMA, AFTER_NUMBER_COLON
    return table


OWN = -1
SPACED = _spaced_table()
"""Default spacing in ordinary prose by [what is on the left][how the right attaches]; not for quotes."""
AFTER = (_after_table(spaced=False), _after_table(spaced=True))
"""What a token leaves behind by [is there white space before it][what is on the left][how it attaches]; ``OWN`` means
what its shape says; not for quotes."""


class Line(NamedTuple):
    """A text as stretches between boundaries.

    Attributes:
        texts: stretches, in plain spelling.
        shapes: how each spaces itself.
        links: before each, 0 for default spacing, or the unit ``JOIN`` or ``SPACE``.
    """

    texts: list[str]
    shapes: list[Shape]
    links: list[int]

    def following(self, place: int) -> int | None:
        """How the stretch after ``place`` begins; None at the end."""
        return self.shapes[place + 1].initial if place + 1 < len(self.shapes) else None


class PlainSpacing:
    """Walk over the shapes of ordinary prose."""

    __slots__ = ("left", "open")

    def __init__(self) -> None:
        self.left = AT_START
        self.open = [False] * (STAR + 1 - FIRST_QUOTE)

    def wants_space(self, token: Shape, following: int | None) -> bool:
        """Whether white space stands before ``token`` by default; ``following`` is how the token after it begins."""
        right, left = token.right, self.left
        if right < FIRST_QUOTE:
            return SPACED[left][right]
        if left in (AT_START, AFTER_OPEN, AFTER_INFIX):
            return False
        if right == SINGLE:
            return not self._single_closes(following)
        return not (self.open[right - FIRST_QUOTE] or following is None)

    def advance(self, token: Shape, spaced: bool, following: int | None) -> None:
        """Step over ``token``, before which there truly is white space or not."""
        if token.right < FIRST_QUOTE:
            after = AFTER[spaced][self.left][token.right]
            self.left = token.left if after == OWN else after
        else:
            self._advance_quote(token.right, spaced, following)

    def copy(self) -> PlainSpacing:
        """Return an independent walk that stands at the same place."""
        other = PlainSpacing()
        other.left, other.open = self.left, self.open.copy()
        return other

    def _single_closes(self, following: int | None) -> bool:
        if following == ELISION:
            return False
        if self.open[SINGLE - FIRST_QUOTE] or self.open[TICK - FIRST_QUOTE]:
            return True
        return following is None or self.left == AFTER_PLURAL

    def _advance_quote(self, right: int, spaced: bool, following: int | None) -> None:
        if right == SINGLE and following == ELISION:
            self.left = AFTER_OPEN
            return
        mark = right - FIRST_QUOTE
        starts = spaced or self.left in (AT_START, AFTER_OPEN)
        opens = not self.open[mark] if self.left == AFTER_INFIX else starts
        if right == SINGLE and not opens and self.open[TICK - FIRST_QUOTE]:
            mark = TICK - FIRST_QUOTE  # `quoted'
        self.open[mark] = opens
        self.left = AFTER_OPEN if opens else AFTER_CLOSE
