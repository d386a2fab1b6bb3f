"""Notices while training when vectors collapse to their mean, and stops a run for which there is no way back."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.errors import LexivertError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CollapseRules:
    """When to speak.

    Attributes:
        doubtful: energy of the mean vector, from which on a warning is logged, once.
        certain: from which on a step counts towards the end.
        patience: so many such steps in a row end the run; fewer may happen in warm-up.
    """

    doubtful: float = 0.5
    certain: float = 0.95
    patience: int = 25


def anisotropy(vectors: Tensor) -> Tensor:
    """Energy of the mean of unit-length rows: the mean cosine of two of them. 0 if spread, 1 if all are one.

    Shape: (M, D) to a scalar.
    """
    return F.normalize(vectors.detach().float(), dim=-1).mean(dim=0).square().sum()


class CollapseAlarm:
    """Watches the vectors that a network gives, batch by batch.

    With in-batch negatives, collapse to one vector has no gradient that leads out of it (all cosines are equal), so a
    run that stays there for ``patience`` steps will not come back.

    Args:
        what: names the vectors in messages.
        advice: what a user may change.
        rules: when to speak.
    """

    def __init__(self, what: str, advice: str, rules: CollapseRules | None = None) -> None:
        self.what, self.advice = what, advice
        self.rules = rules or CollapseRules()
        self._warned = False
        self._steps = 0

    def __call__(self, vectors: Tensor) -> Tensor:
        """Energy of the mean of these vectors, for the curves. Shape: (M, D) to a scalar.

        Raises:
            LexivertError: it has been above ``certain`` for ``patience`` steps in a row.
        """
        energy = anisotropy(vectors)
        self._steps = self._steps + 1 if float(energy) >= self.rules.certain else 0
        if self._steps >= self.rules.patience:
            raise LexivertError(
                f"{self.what} have collapsed: for {self._steps} steps their mean has held {float(energy):.0%} of "
                f"their energy; {self.advice}"
            )
        if float(energy) >= self.rules.doubtful and not self._warned:
            self._warned = True
            logger.warning(
                "%s are close to collapse: their mean holds %.0f %% of their energy", self.what, 100 * energy
            )
        return energy


def spread(vectors: Tensor) -> Tensor:
    """Mean standard deviation per dimension of unit-length rows, times √D: 1 if spread, 0 if collapsed.

    Shape: (M, D) to a scalar.
    """
    unit = F.normalize(vectors.detach().float(), dim=-1)
    deviation: Tensor = unit.std(dim=0, correction=0).mean() * torch.tensor(float(unit.shape[1])).sqrt()
    return deviation
