"""Spacing classes of tokens: how each attaches to its neighbours, found from the surface alone."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

# How a token attaches on its left. From POINT on, what it leaves behind depends on what is before it; from DOUBLE on,
# so does whether white space comes before it.
WORD, NUMBER, THOUSANDS, CLOSE, OPEN, CLITIC, NOT, CJK, SYMBOL, PIECE, LETTERS, BLANK = range(12)
POINT, COMMA, COLON, INFIX, HYPHEN, EN_DASH, DOUBLE, SINGLE, EMPHASIS, TICK, STAR = range(12, 23)
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
_INFIXES = frozenset("/—―‒@\\")
_HYPHENS = frozenset({"-", "‐", "‑"})
_FIXED = {
    ".": (POINT, AFTER_CLOSE),
    ",": (COMMA, AFTER_CLOSE),
    ":": (COLON, AFTER_CLOSE),
    "–": (EN_DASH, AFTER_INFIX),
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


def is_cjk(character: str) -> bool:
    """Whether a character is a word of its own: Han, Hiragana, Katakana and their signs."""
    code = ord(character)
    if code < 0x3000:
        return False
    ranges = _CJK_PLANES if code >= 0xFF00 else _CJK_RANGES
    return any(low <= code <= high for low, high in ranges)


def _right(first: str) -> int:
    if first.isdigit():
        return NUMBER
    if is_cjk(first):
        return CJK
    if first.isalpha():
        return WORD
    return _mark(first)[0]


def _left(surface: str, last: str) -> int:
    if last.isdigit():
        return AFTER_NUMBER
    if is_cjk(last):
        return AFTER_CJK
    if last.isalpha() or unicodedata.category(last)[0] == "M":
        return AFTER_PLURAL if last in "sSzZ" and len(surface) > 2 else AFTER_WORD
    if last == "." and surface[0].isalpha():
        return AFTER_WORD
    if last in _HYPHENS and surface[0].isalnum():
        return AFTER_INFIX  # the piece "non-"
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
