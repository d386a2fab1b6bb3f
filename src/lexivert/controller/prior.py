"""The unigram prior in coarse steps: what the units that were not retrieved weigh in a posterior."""

from __future__ import annotations

import torch
from torch import Tensor

_BINS = 32
_FAR = 8.0  # deviations beyond which a tail counts as empty


class UnitPrior:
    """Log prior of all units, and how many units there are at each of its levels.

    Args:
        log_prior: of all units. Shape: (V,).
        frequent: the first so many units make up the quick search.
    """

    def __init__(self, log_prior: Tensor, frequent: int) -> None:
        self.log_prior = log_prior
        low, high = float(log_prior.min()), float(log_prior.max())
        self._bin = ((log_prior - low) / max(high - low, 1e-6) * _BINS).long().clamp(0, _BINS - 1)
        sums = torch.zeros(_BINS).index_add_(0, self._bin, log_prior)
        counts = torch.bincount(self._bin, minlength=_BINS).float()
        self._level = sums / counts.clamp_min(1.0)
        self._frequent = torch.bincount(self._bin[:frequent], minlength=_BINS).float()
        self._rare = counts - self._frequent

    def rest(self, units: Tensor, lowest: Tensor, variance: Tensor, weight: Tensor, quick: Tensor) -> Tensor:
        """Log of the summed ``exp(logit)`` of all units that were not retrieved, as expected.

        The inner product of an intention with a unit that has nothing to do with it is normal, of variance s². The
        searched units that were not retrieved have a logit below the lowest retrieved one, t, so that such a unit of
        weighted log prior b weighs ``exp(b + s²/2) Φ((t - b - s²)/s) / Φ((t - b)/s)``, the mean of a truncated
        log-normal; one that was not searched weighs ``exp(b + s²/2)``.

        Args:
            units: retrieved, -1 where there were too few. Shape: (M, K).
            lowest: the lowest logit among them, -inf if fewer than K were found. Shape: (M,).
            variance: s². Shape: (M,).
            weight: factor on the log prior. Shape: ().
            quick: whether only frequent units were searched. Shape: (M,) bool.

        Shape: (M,).
        """
        found = torch.zeros(len(units), _BINS).scatter_add_(1, self._bin[units], (units >= 0).float())
        searched = torch.where(quick[:, None], self._frequent, self._frequent + self._rare)
        left = (searched - found).clamp_min(0.0)
        deviation = variance.sqrt()[:, None]
        level = weight * self._level
        reach = torch.maximum((lowest[:, None] - level) / deviation, torch.tensor(-_FAR))
        below = torch.special.log_ndtr(reach - deviation) - torch.special.log_ndtr(reach)
        unsearched = torch.where(quick, 1.0, 0.0)[:, None] * self._rare
        weights = torch.log(left) + torch.minimum(below, torch.tensor(0.0))
        everything = torch.logaddexp(weights, torch.log(unsearched)) + level
        return torch.logsumexp(everything, dim=1) + variance / 2
