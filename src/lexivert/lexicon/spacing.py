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

# How a token attaches on its left. From POINT on, what it leaves behind depends on its surroundings.
WORD, NUMBER, CLOSE, OPEN, CLITIC, NOT, CJK, SYMBOL, PIECE, LETTERS, BLANK = range(11)
POINT, COMMA, COLON, INFIX, HYPHEN, DOUBLE, SINGLE, EMPHASIS = range(11, 19)
FIRST_DYNAMIC = POINT

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
    "`": (OPEN, AFTER_OPEN),
    "&": (SYMBOL, AFTER_SYMBOL),
    "*": (SYMBOL, AFTER_SYMBOL),
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
        right: how it attaches on its left (``WORD`` … ``EMPHASIS``).
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
    return Shape(_right(first), _left(surface, last), initial(surface))


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


def _plain_table() -> list[list[bool]]:
    """Default spacing by [what is on the left][how the right attaches]."""
    attached = {CLOSE, CLITIC, NOT, PIECE, LETTERS, INFIX, HYPHEN, POINT, COMMA, COLON, CJK, BLANK}
    table = [[right not in attached for right in range(EMPHASIS + 1)] for _ in range(AFTER_PLURAL + 1)]
    for left in (AT_START, AFTER_OPEN, AFTER_INFIX, AFTER_CJK):
        table[left] = [False] * (EMPHASIS + 1)
    for left in (AFTER_CLOSE, AFTER_SYMBOL, AFTER_FREE_HYPHEN, AFTER_FREE_INFIX):
        for right in (LETTERS, HYPHEN):
            table[left][right] = True
    for left in (AFTER_SYMBOL, AFTER_FREE_HYPHEN, AFTER_FREE_INFIX):
        for right in (CJK, CLITIC):
            table[left][right] = True
    for left in (AFTER_NUMBER, AFTER_FREE_HYPHEN, AFTER_NUMBER_POINT, AFTER_NUMBER_COLON):
        table[left][NUMBER] = False
    return table


_PLAIN = _plain_table()


class PlainSpacing:
    """Walk over the shapes of ordinary prose."""

    __slots__ = ("double", "emphasis", "left", "single")

    def __init__(self) -> None:
        self.left = AT_START
        self.double = self.single = self.emphasis = False

    def wants_space(self, token: Shape, following: int | None) -> bool:
        """Whether white space stands before ``token`` by default; ``following`` is how the token after it begins."""
        right, left = token.right, self.left
        if right < DOUBLE:
            if right == NUMBER and left == AFTER_NUMBER_COMMA:
                return token.initial != THOUSAND
            return _PLAIN[left][right]
        if left in (AT_START, AFTER_OPEN, AFTER_INFIX):
            return False
        if right == DOUBLE:
            return not self.double and not self._closes_anyway(following)
        if right == EMPHASIS:
            return not self.emphasis
        return not self._single_closes(following)

    def advance(self, token: Shape, spaced: bool, following: int | None) -> None:
        """Step over ``token``, before which there truly is white space or not."""
        right = token.right
        if right < FIRST_DYNAMIC:
            self.left = token.left
        elif right in (POINT, COMMA, COLON):
            number = self.left == AFTER_NUMBER and not spaced
            self.left = AFTER_NUMBER_POINT + (right - POINT) if number else AFTER_CLOSE
        elif right in (INFIX, HYPHEN):
            free = spaced or self.left == AT_START
            self.left = AFTER_INFIX if not free else AFTER_FREE_HYPHEN if right == HYPHEN else AFTER_FREE_INFIX
        else:
            self._advance_quote(right, spaced, following)

    def copy(self) -> PlainSpacing:
        """Return an independent walk that stands at the same place."""
        other = PlainSpacing()
        other.left, other.double, other.single, other.emphasis = self.left, self.double, self.single, self.emphasis
        return other

    def _closes_anyway(self, following: int | None) -> bool:
        """Whether a double quote closes though none is open: a sentence may begin within a quotation."""
        return following is None or (self.left == AFTER_CLOSE and following == LOWER)

    def _single_closes(self, following: int | None) -> bool:
        if following == ELISION:
            return False
        if self.single:
            return True
        return following is None or (self.left == AFTER_PLURAL) or (self.left == AFTER_CLOSE and following == LOWER)

    def _advance_quote(self, right: int, spaced: bool, following: int | None) -> None:
        if right == SINGLE and following == ELISION:
            self.left = AFTER_OPEN
            return
        name = "double" if right == DOUBLE else "single" if right == SINGLE else "emphasis"
        if self.left == AFTER_INFIX:
            opens = not getattr(self, name)
        else:
            opens = spaced or self.left in (AT_START, AFTER_OPEN)
        setattr(self, name, opens)
        self.left = AFTER_OPEN if opens else AFTER_CLOSE


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
        if right == HYPHEN:
            return left not in (AFTER_WORD, AFTER_PLURAL, AFTER_NUMBER) or following in (None, OTHER)
        if right == POINT:
            return left != AFTER_NUMBER or following not in (DIGIT, THOUSAND)
        if right == COMMA:
            return left != AFTER_NUMBER or following != THOUSAND
        if right == NUMBER:
            return left not in (AFTER_NUMBER, AFTER_INFIX)
        if right in (PIECE, NOT, BLANK):
            return False
        if right == LETTERS:
            return left not in (AFTER_WORD, AFTER_PLURAL, AFTER_NUMBER, AFTER_INFIX)
        return left != AFTER_INFIX and (right != CJK or left != AFTER_CJK)

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
