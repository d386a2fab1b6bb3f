"""The vocabulary split: units held out of the token head's training, drawn by a seeded hash of what they read as."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lexivert.config import Params
from lexivert.text.lexicon import Lexicon, unit_text


def heldout_units(lexicon: Lexicon, params: Params) -> npt.NDArray[np.bool_]:
    """Units that the token head is not trained on. Shape: (V,)."""
    return heldout_mask(unit_readings(lexicon), params.token_head.heldout_share, params.seed)


def heldout_mask(readings: Sequence[str], share: float, seed: int) -> npt.NDArray[np.bool_]:
    """Choose units by a hash of what the backbone reads, regardless of case.

    All units of one reading fall on one side, since an uncased backbone gives them the same features.

    Args:
        readings: of V units, see ``unit_readings``.
        share: of the readings that are held out, in [0, 1].
        seed: of the hash.

    Shape: (V,).
    """
    salt = seed.to_bytes(8, "little")
    digests = b"".join(
        hashlib.blake2b(surface.casefold().encode(), digest_size=8, salt=salt).digest() for surface in readings
    )
    return np.frombuffer(digests, dtype="<u8") < share * 2.0**64


def unit_readings(lexicon: Lexicon) -> list[str]:
    """``plain_reading`` of every unit."""
    return [plain_reading(*unit) for unit in zip(lexicon.surfaces, lexicon.kinds, strict=True)]


def plain_reading(surface: str, kind: str) -> str:
    """What is left of a unit for a backbone that drops case and accents: units alike in it count as one.

    "##Ing" and "ing", byte 0x41 and "a", "Café" and "cafe" have one reading each.
    """
    letters = unicodedata.normalize("NFKD", unit_text(surface, kind).casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))
