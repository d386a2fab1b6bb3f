"""Default spacing: whether white space stands between two neighbouring tokens when nothing says otherwise.

A token's ``Shape`` says how it attaches to what is before it and what it leaves behind; ``PlainSpacing`` and
``WikitextSpacing`` walk over shapes from left to right and answer for each boundary. Straight quotes, underscores,
hyphens and dashes depend on what came before: a straight quote opens where none is open, an infix mark (hyphen,
dash, slash) that is attached on its left attaches on its right too. The walk is told the true spacing, so that one
correction also sets right what follows from it. The rules were chosen by counting the corrections that Gutenberg,
WordNet and WikiText need (``benchmarks/segmentation.py``).
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

# How a token attaches on its left. From POINT on, what it leaves behind depends on what is before it; from DOUBLE on,
# so does whether white space comes before it.
WORD, NUMBER, THOUSANDS, CLOSE, OPEN, CLITIC, NOT, CJK, SYMBOL, PIECE, LETTERS, BLANK = range(12)
POINT, COMMA, COLON, INFIX, HYPHEN, DOUBLE, SINGLE, EMPHASIS, TICK, STAR = range(12, 22)
FIRST_DYNAMIC, FIRST_QUOTE = POINT, DOUBLE

# What stands on the left of a boundary.
(
    AT_START,
    AFTER_WORD,
    AFTER_NUMBER,
    AFTER_CLOSE,
    AFTER_OPEN,
    AFTER_INFIX,
    AFTER_FREE_HYPHEN,
    AFTER_FREE_INFIX,
    AFTER_CJK,
    AFTER_SYMBOL,
    AFTER_NUMBER_POINT,
    AFTER_NUMBER_COMMA,
    AFTER_NUMBER_COLON,
    AFTER_PLURAL,
) = range(14)

# How a token begins; ``None`` stands for the end of the text.
LOWER, UPPER, DIGIT, THOUSAND, ELISION, OTHER = range(6)

_ELIDED = frozenset({"tis", "twas", "twere", "twill", "twould", "em", "till", "tother", "gainst", "mongst", "neath"})
_CLITICS = frozenset({"s", "d", "ll", "m", "re", "ve", "t"})
_CLOSING = frozenset("!;?%’°”…‰′″»›™®©²³")
_OPENING = frozenset("#¡¿“‘„‚«‹")
_INFIXES = frozenset("/—―‒–@\\")
_HYPHENS = frozenset({"-", "‐", "‑"})
_FIXED = {
    ".": (POINT, AFTER_CLOSE),
    ",": (COMMA, AFTER_CLOSE),
    ":": (COLON, AFTER_CLOSE),
    '"': (DOUBLE, AFTER_CLOSE),
    "'": (SINGLE, AFTER_CLOSE),
    "_": (EMPHASIS, AFTER_CLOSE),
    "`": (TICK, AFTER_CLOSE),
    "``": (TICK, AFTER_CLOSE),
    "*": (STAR, AFTER_CLOSE),
    "**": (STAR, AFTER_CLOSE),
    "&": (SYMBOL, AFTER_SYMBOL),
}
_BY_CATEGORY = {
    "Ps": (OPEN, AFTER_OPEN),
    "Pi": (OPEN, AFTER_OPEN),
    "Pe": (CLOSE, AFTER_CLOSE),
    "Pf": (CLOSE, AFTER_CLOSE),
    "Po": (CLOSE, AFTER_CLOSE),
    "Sc": (OPEN, AFTER_OPEN),
    "Zs": (BLANK, AFTER_OPEN),
    "Cc": (BLANK, AFTER_OPEN),
}
_CJK_RANGES = ((0x3000, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF))
_CJK_PLANES = ((0xFF00, 0xFFEF), (0x20000, 0x3FFFF))


class Shape(NamedTuple):
    """How a token behaves towards its neighbours.

    Attributes:
        right: how it attaches on its left (``WORD`` … ``STAR``).
        left: what it leaves behind (``AFTER_…``); only a default where ``right`` is dynamic.
        initial: how it begins (``LOWER`` … ``OTHER``), for the token before it.
    """

    right: int
    left: int
    initial: int


@lru_cache(maxsize=1 << 18)
def shape(surface: str) -> Shape:
    """Classify a token."""
    first, last = surface[0], surface[-1]
    if surface in _FIXED:
        return Shape(*_FIXED[surface], OTHER)
    if surface in _HYPHENS:
        return Shape(HYPHEN, AFTER_INFIX, OTHER)
    if _is_dash(surface):
        return Shape(INFIX, AFTER_INFIX, OTHER)
    if first in "'’" and surface[1:].lower() in _CLITICS:
        return Shape(CLITIC, AFTER_WORD, OTHER)
    if len(surface) == 3 and surface[1] in "'’" and surface.lower().replace("’", "'") == "n't":
        return Shape(NOT, AFTER_WORD, OTHER)
    begins = initial(surface)
    return Shape(THOUSANDS if begins == THOUSAND else _right(first), _left(surface, last), begins)


def shape_of_bytes(text: str) -> Shape:
    """Classify decoded bytes, which as letters continue the word before them."""
    known = shape(text)
    return Shape(LETTERS, *known[1:]) if known.right == WORD else known


def shape_of_piece(surface: str) -> Shape:
    """Classify the text of a continuation piece (without ``##``)."""
    return Shape(PIECE, *shape(surface)[1:])


def initial(surface: str) -> int:
    """Say how a token begins."""
    first = surface[0]
    if first.isdigit():
        return THOUSAND if len(surface) == 3 and surface.isdigit() else DIGIT
    if not first.isalpha():
        return OTHER
    if surface.lower() in _ELIDED:
        return ELISION
    return LOWER if first.islower() else UPPER


def _is_dash(surface: str) -> bool:
    return surface[0] in _INFIXES or (len(surface) > 1 and not surface.strip("-"))


def _is_cjk(character: str) -> bool:
    code = ord(character)
    if code < 0x3000:
        return False
    ranges = _CJK_PLANES if code >= 0xFF00 else _CJK_RANGES
    return any(low <= code <= high for low, high in ranges)


def _right(first: str) -> int:
    if first.isdigit():
        return NUMBER
    if _is_cjk(first):
        return CJK
    if first.isalpha():
        return WORD
    return _mark(first)[0]


def _left(surface: str, last: str) -> int:
    if last.isdigit():
        return AFTER_NUMBER
    if _is_cjk(last):
        return AFTER_CJK
    if last.isalpha() or unicodedata.category(last)[0] == "M":
        return AFTER_PLURAL if last in "sSzZ" and len(surface) > 2 else AFTER_WORD
    if last == "." and surface[0].isalpha():
        return AFTER_WORD
    return _mark(last)[1]


def _mark(character: str) -> tuple[int, int]:
    if character in _CLOSING:
        return CLOSE, AFTER_CLOSE
    if character in _OPENING:
        return OPEN, AFTER_OPEN
    if character in _FIXED:
        right, left = _FIXED[character]
        return (CLOSE if right >= FIRST_DYNAMIC else right), left
    return _BY_CATEGORY.get(unicodedata.category(character), (SYMBOL, AFTER_SYMBOL))


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
    table[AFTER_NUMBER_COMMA][THOUSANDS] = False
    return table


def _after_table(spaced: bool) -> list[list[int]]:
    table = [[OWN] * FIRST_DYNAMIC + [AFTER_CLOSE] * (STAR + 1 - FIRST_DYNAMIC) for _ in range(AFTER_PLURAL + 1)]
    for left, row in enumerate(table):
        free = spaced or left == AT_START
        row[INFIX] = AFTER_FREE_INFIX if free else AFTER_INFIX
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


_AFTER_ALNUM = (AFTER_WORD, AFTER_PLURAL, AFTER_NUMBER)


class WikitextSpacing:
    """Walk over the shapes of text in WikiText's convention, where nearly every token has white space round it.

    "No white space" here means that the token goes on inside: ``red`` ``-`` ``tipped`` is written ``red @-@ tipped``.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = AT_START

    def wants_space(self, token: Shape, following: int | None) -> bool:
        """See ``PlainSpacing.wants_space``."""
        right, left = token.right, self.left
        if right in (HYPHEN, POINT, COMMA):
            return not self._goes_inside(right, following)
        if right in (PIECE, NOT, BLANK) or left == AFTER_INFIX:
            return False
        if right in (NUMBER, THOUSANDS):
            return left != AFTER_NUMBER
        if right == LETTERS:
            return left not in _AFTER_ALNUM
        return right != CJK or left != AFTER_CJK

    def _goes_inside(self, right: int, following: int | None) -> bool:
        """Whether a mark stands inside a word or number, so that WikiText writes ``@`` round it."""
        if right == HYPHEN:
            return self.left in _AFTER_ALNUM and following not in (None, OTHER)
        return self.left == AFTER_NUMBER and (following == THOUSAND or (right == POINT and following == DIGIT))

    def advance(self, token: Shape, spaced: bool, following: int | None) -> None:
        """See ``PlainSpacing.advance``."""
        if token.right not in (HYPHEN, POINT, COMMA):
            self.left = AFTER_SYMBOL if token.right == INFIX else token.left
        elif not spaced and not self.wants_space(token, following):
            self.left = AFTER_INFIX
        else:
            self.left = AFTER_CLOSE

    def copy(self) -> WikitextSpacing:
        """Return an independent walk that stands at the same place."""
        other = WikitextSpacing()
        other.left = self.left
        return other
