"""Words of a plain text, as measures and rankings of written texts count them."""

from __future__ import annotations

_EDGES = ".,;:!?\"'()[]“”‘’—-"


def words_of(text: str) -> list[str]:
    """Words in lower case, without punctuation at their edges."""
    stripped = (word.strip(_EDGES).lower() for word in text.split())
    return [word for word in stripped if word]


def repeated_share(text: str) -> float:
    """Share of a text's words that have stood in it before; 0 for a text without words."""
    words = words_of(text)
    return 1.0 - len(set(words)) / len(words) if words else 0.0
