"""How users' texts are shown: as they are; on a terminal, what would steer it or can't be seen is escaped."""

from __future__ import annotations

import sys
import unicodedata
from typing import TextIO

_STEERING = frozenset({"Cc", "Cs", "Zl", "Zp", "Cf"})
"""Categories of characters that steer a terminal or a line's direction, or show nothing at all."""
_JOINERS = "\u200c\u200d"
_NUMBER_SIGNS = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
_PART_OF_TEXT = frozenset(_JOINERS + _NUMBER_SIGNS)
"""Format characters that letters and emoji need, or that are seen."""


def visible(text: str) -> str:
    r"""Write what steers a terminal, or shows nothing, as an escape: ``\x1b``, ``\n``, ``\u202e``; in one line."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    steers = unicodedata.category(character) in _STEERING and character not in _PART_OF_TEXT
    return character.encode("unicode_escape").decode("ascii") if steers else character


def shown(text: str, stream: TextIO) -> str:
    """A text as a stream gets it: ``visible`` on a terminal, byte for byte elsewhere."""
    return visible(text) if stream.isatty() else text


def show(text: str) -> None:
    """Write a line to standard output: no markup, no emoji codes, no wrapping, nothing left out."""
    sys.stdout.write(f"{shown(text, sys.stdout)}\n")
