"""What decoders give back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from lexivert.controller.trace import Step


@dataclass(frozen=True)
class Found:
    """Texts read back from B vectors.

    Attributes:
        units: unit ids of each text, EOS not included.
        scores: probability that each unit is right, beside ``units``.
        fit: cosine of the given order part with the rebuilt one. Shape: (B,).
        proven: whether the rebuilt vector is the given one, so that the text is exactly right. Shape: (B,).
    """

    units: list[list[int]]
    scores: list[list[float]]
    fit: Tensor
    proven: Tensor


@dataclass(frozen=True)
class Rebuilt(Found):
    """Texts rebuilt unit by unit.

    Attributes:
        steps: the rebuild of each text step by step, if it was asked for.
    """

    steps: list[list[Step]]


@dataclass(frozen=True)
class Settled(Found):
    """Texts at which message passing came to rest.

    Attributes:
        length_evidence: log likelihood ratio plus log prior of every length, before anything is decoded.
            Shape: (B, P).
    """

    length_evidence: Tensor


@dataclass(frozen=True)
class Decoded(Rebuilt):
    """Texts read back by the controller as a whole.

    Attributes:
        confidence: probability that each text is exactly right. Shape: (B,).
        features: what that was told by, see ``text_features``. Shape: (B, FEATURES).
    """

    confidence: Tensor
    features: npt.NDArray[np.float64]
