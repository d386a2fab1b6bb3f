"""Sampled softmax: the cross-entropy over a large vocabulary from its most probable entries and a few of the rest."""

from __future__ import annotations

import torch
from torch import Tensor


class ImportanceSample:
    """Negatives that a batch shares, each with how many entries it stands for (Bengio & Senécal 2008).

    Args:
        log_prior: log unigram probability. Shape: (V,).
        always: so many most probable entries are negatives of every draw.
        drawn: further negatives, drawn from the rest with the square root of their probability.
    """

    def __init__(self, log_prior: Tensor, always: int, drawn: int) -> None:
        order = log_prior.argsort(descending=True, stable=True)
        self._always, self._rest, self._drawn = order[:always], order[always:], drawn
        self._spread = (log_prior[self._rest] / 2).softmax(dim=0)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Entries, each once, and how many each stands for; from torch's global generator. Shape: (P,) twice."""
        times = torch.ones_like(self._always, dtype=torch.float32)
        if not len(self._rest):
            return self._always, times
        drawn, count = torch.multinomial(self._spread, self._drawn, replacement=True).unique(return_counts=True)  # type: ignore[no-untyped-call]
        stands_for = count / (self._drawn * self._spread[drawn])
        return torch.cat((self._always, self._rest[drawn])), torch.cat((times, stands_for))
