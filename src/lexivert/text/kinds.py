"""Kinds of tokens by their surface: the research script's patterns, with Unicode properties for its listed letters.

The script's order is kept: lower-case word, capitalised, number, numeric, anomalous. Changes: any alphabet's letters
count, a lone hyphen is punctuation and no word, and so is all that has neither letter nor digit.
"""

from __future__ import annotations

from enum import IntEnum

import regex  # type: ignore[import-untyped]


class TokenKind(IntEnum):
    """Sort of a single token; whether a capitalised one is a named entity is decided on the entire corpus."""

    WORD = 0
    CAPITALISED = 1
    NUMBER = 2
    NUMERIC = 3
    ANOMALOUS = 4
    PUNCTUATION = 5


_NUMBER = r"(?:\p{Nd}+\.?\p{Nd}*|\p{Nd}{1,3}(?:,\p{Nd}{3})*(?:\.\p{Nd}*)?)"
_LOWER = r"[\p{Ll}\p{Lo}\p{Lm}]"
_PATTERNS = (
    (TokenKind.PUNCTUATION, regex.compile(r"[^\p{L}\p{N}]+")),
    (TokenKind.WORD, regex.compile(rf"(?:{_LOWER}+['’])*[\p{{Ll}}\p{{Lo}}\p{{Lm}}\p{{M}}\-‐‑]+")),
    (TokenKind.CAPITALISED, regex.compile(rf"(?s)(?:{_LOWER}+[-'’]?)?[\p{{Lu}}\p{{Lt}}].*")),
    (TokenKind.NUMBER, regex.compile(_NUMBER)),
    (TokenKind.NUMERIC, regex.compile(rf"(?:\p{{Ll}}+-)?{_NUMBER}\p{{L}}*(?:-\p{{L}}+)*")),
)


def classify(surface: str) -> TokenKind:
    """Return a token's sort: ``o'clock`` WORD, ``iPhone`` CAPITALISED, ``1860s`` NUMERIC, ``'s`` ANOMALOUS."""
    for kind, pattern in _PATTERNS:
        if pattern.fullmatch(surface):
            return kind
    return TokenKind.ANOMALOUS


def is_reserved(surface: str) -> bool:
    """Whether a surface could be mistaken for a control, byte or continuation unit, so must not become a unit."""
    return surface.startswith(("##", "<"))
