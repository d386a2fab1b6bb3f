"""What decoding algorithms give back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


@dataclass(frozen=True)
class Step:
    """One commit of a rebuild.

    Attributes:
        unit: the unit committed, moved or put in another's place.
        position: where.
        score: probability that it is right, 0 to 1.
        residual: share of the vector that the buffer leaves unexplained, 1 (all) to 0 (none): sine of the angle
            between the given vector and the sum of what is committed.
        buffer: unit ids by position after this step, -1 where open, EOS left out.
    """

    unit: int
    position: int
    score: float
    residual: float
    buffer: tuple[int, ...]


@dataclass(frozen=True)
class DecodeResult:
    """Texts read back from B vectors.

    Attributes:
        units: unit ids of each text, EOS not included.
        scores: probability that each unit is right, beside ``units``.
        fit: cosine of the given order part with the re-encoded one. Shape: (B,).
        verified: whether the re-encoded vector is the given one, so that the text is exactly right. Shape: (B,).
        steps: the rebuild of each text step by step, if it was asked for.
        length_evidence: log likelihood ratio plus log prior of every length, before anything was decoded; None where
            an algorithm does not weigh lengths. Shape: (B, N).
        confidence: calibrated probability that each text is exactly right; None where nothing is calibrated.
            Shape: (B,).
        features: what the confidence was told by, see ``confidence.text_features``. Shape: (B, FEATURES).
    """

    units: list[list[int]]
    scores: list[list[float]]
    fit: Tensor
    verified: Tensor
    steps: list[list[Step]]
    length_evidence: Tensor | None = None
    confidence: Tensor | None = None
    features: npt.NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.units)

    def replaced(self, rows: Sequence[int], other: DecodeResult) -> DecodeResult:
        """The same results but for some rows, which are another's. Both have confidences, or neither has."""
        own = list(range(len(self)))
        for place, row in enumerate(rows):
            own[row] = len(self) + place
        both = DecodeResult.joined([self, other])
        which = torch.tensor(own, dtype=torch.int64, device=self.fit.device)
        return DecodeResult(
            units=[both.units[row] for row in own],
            scores=[both.scores[row] for row in own],
            fit=both.fit[which],
            verified=both.verified[which],
            steps=[both.steps[row] for row in own],
            confidence=None if both.confidence is None else both.confidence[which.to(both.confidence.device)],
            features=None if both.features is None else both.features[own],
        )

    @classmethod
    def joined(cls, parts: Iterable[DecodeResult]) -> DecodeResult:
        """Results of several batches, one behind the other."""
        parts = list(parts)
        confidence = [part.confidence for part in parts if part.confidence is not None]
        features = [part.features for part in parts if part.features is not None]
        return cls(
            units=[text for part in parts for text in part.units],
            scores=[scores for part in parts for scores in part.scores],
            fit=torch.cat([part.fit for part in parts]),
            verified=torch.cat([part.verified for part in parts]),
            steps=[steps for part in parts for steps in part.steps],
            confidence=torch.cat(confidence) if confidence else None,
            features=np.concatenate(features) if features else None,
        )
