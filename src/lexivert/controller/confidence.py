"""Confidence: calibrated probabilities that a text, and each of its units, is right.

Unit scores are probabilities under the model that made them, which are right only as far as the model is. A logistic
regression on validation documents, over a mix of noise levels and of sums and differences (Platt 1999), brings them
to what is observed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_EDGE = 1.0e-6  # scores are kept this far from 0 and 1
VERIFIED = 1.0 - 1.0e-6
"""Confidence in a verified text and in its units."""
FEATURES = 7
_SECOND_EOS = (3.0, 10.0)  # what noise shows; what leaves no doubt


@dataclass(frozen=True)
class Calibration:
    """Two logistic regressions.

    Attributes:
        text: weights of ``text_features``, the constant last.
        unit: weights of a unit's log odds, of the text's mean log odds, and the constant.
    """

    text: tuple[float, ...]
    unit: tuple[float, ...]

    @classmethod
    def none(cls) -> Calibration:
        """Take scores as they are: a text is right if all its units are."""
        return cls((1.0, *[0.0] * FEATURES), (1.0, 0.0, 0.0))

    def __call__(
        self, features: npt.NDArray[np.float64], scores: Sequence[Sequence[float]], verified: Tensor
    ) -> tuple[Tensor, list[list[float]]]:
        """Calibrated probabilities of texts (B,) and of their units; a verified text is certain."""
        weighed = torch.from_numpy(_probabilities(_with_constant(features) @ np.array(self.text)))
        confidence = torch.where(verified.cpu(), VERIFIED, weighed.float())
        units: list[list[float]] = []
        for row, certain in zip(scores, verified.tolist(), strict=True):
            units.append([VERIFIED] * len(row) if certain else self._units(row))
        return confidence, units

    def _units(self, scores: Sequence[float]) -> list[float]:
        if not scores:
            return []
        weighted = _with_constant(unit_features(scores)) @ np.array(self.unit)
        calibrated: list[float] = _probabilities(weighted).tolist()
        return calibrated

    @classmethod
    def from_dict(cls, content: Mapping[str, Sequence[float]]) -> Calibration:
        """Read what ``to_dict`` wrote.

        Raises:
            KeyError, TypeError, ValueError: it is of another form.
        """
        text, unit = ([float(weight) for weight in content[name]] for name in ("text", "unit"))
        if (len(text), len(unit)) != (FEATURES + 1, 3):
            raise ValueError(f"calibration of {len(text)} and {len(unit)} weights, not {FEATURES + 1} and 3")
        return cls(tuple(text), tuple(unit))

    def to_dict(self) -> dict[str, tuple[float, ...]]:
        """Contents for JSON."""
        return asdict(self)


def text_features(
    scores: Sequence[Sequence[float]], fit: Tensor, second_eos: Tensor, noise: Tensor, order_width: int
) -> npt.NDArray[np.float64]:
    """What tells right texts from wrong ones.

    Columns: log odds that all units are right, taken together; lowest log odds of a unit; log of the summed expected
    errors; noise that the text leaves, as the log of unexplained over explained energy; log length; how far the
    evidence of a second EOS stands above noise; 1 where the text leaves more than the noise that its vector shows.

    Shape: fit (B,), second_eos (B,) from ``second_eos_score``, noise (B,) from ``EnergySplit.explains``, result
    (B, FEATURES).
    """
    rows = []
    for row, quality, end, told in zip(scores, fit.tolist(), second_eos.tolist(), noise.tolist(), strict=True):
        probabilities = np.clip(np.array(row or [1.0]), _EDGE, 1.0 - _EDGE)
        together = float(np.log(probabilities).sum())
        odds = together - np.log(max(-np.expm1(together), _EDGE))
        squared = min(max(quality, 0.01) ** 2, 1.0 - 1e-5)
        left = np.log((1.0 - squared) / squared * order_width / 1000.0)
        lowest = _log_odds(float(probabilities.min()))
        wrong = float(np.log((1.0 - probabilities).sum() + 1e-3))
        second = min(max(end, _SECOND_EOS[0]), _SECOND_EOS[1]) - _SECOND_EOS[0]
        rows.append([odds, lowest, wrong, left, np.log1p(len(row)), second, float(told == 0.0)])
    return np.array(rows, dtype=np.float64).reshape(-1, FEATURES)


def unit_features(scores: Sequence[float]) -> npt.NDArray[np.float64]:
    """Log odds of each unit, and their mean over the text. Shape: (n, 2)."""
    odds = np.array([_log_odds(min(max(score, _EDGE), 1.0 - _EDGE)) for score in scores])
    return np.stack((odds, np.full(len(odds), odds.mean())), axis=1)


def _with_constant(features: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.concatenate((features, np.ones((len(features), 1))), axis=1)


def _log_odds(probability: float) -> float:
    """Inverse of the logistic function; near one half both logarithms are near 0 and are taken as such."""
    if 0.3 <= probability <= 0.65:
        twice = 2.0 * (probability - 0.5)
        return math.log1p(twice) - math.log1p(-twice)
    return math.log(probability / (1.0 - probability))


def _probabilities(odds: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The logistic function of log odds. Shape: (M,)."""
    return np.array([1.0 / (1.0 + math.exp(min(-value, 700.0))) for value in odds.tolist()])
