"""Importance sample of classes, for partition functions that are too large to be summed in every step."""

from __future__ import annotations

import torch
from torch import Tensor

ALWAYS = 2048
"""Most probable classes, negatives of every step."""
DRAWN = 2048
"""Further negatives a step, drawn from the rest."""


class ImportanceSample:
    """Negatives that stand for all classes: the most probable ones always, others by draw (Bengio & Senécal 2008).

    Args:
        log_prior: log probability of every class. Shape: (V,).
        always: so many most probable classes are in every sample.
        drawn: further draws, from the rest.
    """

    def __init__(self, log_prior: Tensor, always: int = ALWAYS, drawn: int = DRAWN) -> None:
        order = log_prior.argsort(descending=True, stable=True)
        self._always, self._rest, self._drawn = order[:always], order[always:], drawn
        self._spread = (log_prior[self._rest] / 2).softmax(dim=0)

    def __call__(self) -> tuple[Tensor, Tensor]:
        """Classes, each once, and how many each stands for; drawn from torch's global generator.

        Shape: two (P,).
        """
        times = torch.ones_like(self._always, dtype=torch.float32)
        if not len(self._rest):
            return self._always, times
        drawn, count = torch.multinomial(self._spread, self._drawn, replacement=True).unique(return_counts=True)  # type: ignore[no-untyped-call]
        stands_for = count / (self._drawn * self._spread[drawn])
        return torch.cat((self._always, self._rest[drawn])), torch.cat((times, stands_for))
