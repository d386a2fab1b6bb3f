"""The identity part of a unit code: a pseudo-random direction fixed by the surface string alone.

Backbones such as MiniLM and e5 are uncased, so that "The" and "the" have one feature vector; the identity part tells
them from each other. Random sign vectors are nearly orthogonal (cosine 0 ± 1/sqrt(O)), as in holographic codes (Plate
1995; Frady, Kleyko & Sommer 2018). The bits come from SHAKE-128, which gives the same ones on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lexivert.errors import LexivertError


def identity_codes(surfaces: Sequence[str], width: int, seed: int) -> npt.NDArray[np.float32]:
    """Unit-length vectors of signs ``±1/sqrt(O)``, each fixed by its surface string, the width and the seed.

    Args:
        surfaces: V strings, in any order: a row depends on no other row.
        width: O.
        seed: another seed gives codes that are independent of these; a code is only readable with its own seed.

    Shape: (V, O).

    Raises:
        LexivertError: the width is not positive, or a surface holds a lone surrogate.
    """
    if width < 1:
        raise LexivertError(f"identity codes are {width} wide; the width must be at least 1")
    size = (width + 7) // 8
    salt = hashlib.blake2b(f"lexivert identity {seed}".encode(), digest_size=16).digest()
    base = hashlib.shake_128(salt)
    packed = np.frombuffer(b"".join(_bits(base, surface, size) for surface in surfaces), dtype=np.uint8)
    bits = np.unpackbits(packed.reshape(len(surfaces), size), axis=1, count=width)
    levels = np.array([-1.0, 1.0], dtype=np.float32) / np.float32(np.sqrt(width))
    return levels[bits]


def _bits(base: Any, surface: str, size: int) -> bytes:
    state = base.copy()
    try:
        state.update(surface.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise LexivertError(f"surface {surface!r} holds a lone surrogate and is no valid text") from error
    digest: bytes = state.digest(size)
    return digest
