"""Anisotropy and spread of vectors while a network trains, and an alarm for representation collapse."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from lexivert.errors import LexivertError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CollapseRules:
    """When to warn and when to stop.

    Attributes:
        warn_from: anisotropy, from which on a warning is logged, once.
        stop_from: anisotropy, from which on a step counts towards the end.
        patience: so many such steps in a row end the run; fewer may happen in warm-up.
    """

    warn_from: float = 0.5
    stop_from: float = 0.95
    patience: int = 25


def anisotropy(vectors: Tensor) -> Tensor:
    """Mean cosine of two rows (Ethayarajh 2019), a row with itself included: the squared length of the mean unit row.

    0 where rows are spread evenly, 1 where all have one direction.

    Shape: (B, D) to a scalar.
    """
    return F.normalize(vectors.detach().float(), dim=-1).mean(dim=0).square().sum()


class CollapseAlarm:
    """Watches the vectors that a network gives, batch by batch.

    With in-batch negatives, collapse to one vector has no gradient that leads out of it (all cosines are equal), so a
    run that stays there for ``patience`` steps will not come back.

    Args:
        what: names the vectors in messages.
        advice: what a user may change.
        rules: when to warn and when to stop.
    """

    def __init__(self, what: str, advice: str, rules: CollapseRules | None = None) -> None:
        self.what, self.advice = what, advice
        self.rules = rules or CollapseRules()
        self._warned = False
        self._steps = 0

    def __call__(self, vectors: Tensor) -> Tensor:
        """Anisotropy of these vectors, for the curves. Shape: (B, D) to a scalar.

        Raises:
            LexivertError: it has been at least ``stop_from`` for ``patience`` steps in a row.
        """
        measured = anisotropy(vectors)
        value = float(measured)
        self._steps = self._steps + 1 if value >= self.rules.stop_from else 0
        if self._steps >= self.rules.patience:
            raise LexivertError(
                f"{self.what} have collapsed: for {self._steps} steps their anisotropy (mean cosine) has been "
                f"at least {self.rules.stop_from:g}, now {value:.2f}; {self.advice}"
            )
        if value >= self.rules.warn_from and not self._warned:
            self._warned = True
            logger.warning("%s are close to collapse: their anisotropy (mean cosine) is %.2f", self.what, value)
        return measured


def spread(vectors: Tensor) -> Tensor:
    """Mean standard deviation per dimension of unit-length rows, times √D: 1 if spread, 0 if collapsed.

    Shape: (B, D) to a scalar.
    """
    unit = F.normalize(vectors.detach().float(), dim=-1)
    deviation: Tensor = unit.std(dim=0, correction=0).mean() * unit.new_tensor(float(unit.shape[1])).sqrt()
    return deviation
