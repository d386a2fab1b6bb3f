"""Lexivert: sentence vectors that can be read back, word by word.

``from lexivert import Lexivert`` is all that most users need. Heavy libraries are loaded with the first name that is
taken from here, so that ``import lexivert`` itself takes no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lexivert.errors import LexivertError
from lexivert.threads import wait_passively

if TYPE_CHECKING:
    from lexivert.model import Lexivert, Neighbor, Reading, Step

__all__ = ["Lexivert", "LexivertError", "Neighbor", "Reading", "Step"]

wait_passively()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'lexivert' has no attribute {name!r}")
    from lexivert import model

    return getattr(model, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
