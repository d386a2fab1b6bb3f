"""Priors over units: flat, unigram, or the Selector's; and what the units that were not retrieved weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.priors.selector import Context, Selector
from lexivert.text.lexicon import EOS, NEVER

_BINS = 32
_FAR = 8.0  # deviations beyond which a tail counts as empty


@dataclass(frozen=True)
class Prior:
    """Log prior ``<q, g(u)>`` of every unit at every position; a query's last entry is 1, a unit's its bias.

    Attributes:
        table: unit vectors with their biases. Shape: (V, R + 1).
        selector: gives the queries; None where nothing is known but the biases (R = 0).
    """

    table: Tensor
    selector: Selector | None = None

    @classmethod
    def fixed(cls, log_prior: Tensor) -> Prior:
        """The same at every position. Shape: (V,)."""
        return cls(log_prior[:, None].clone()).without([EOS])

    @classmethod
    def learned(cls, selector: Selector, vectors: Tensor, bias: Tensor) -> Prior:
        """The Selector's, with its unit vectors (V, R) and biases (V,)."""
        table = torch.cat((vectors, bias[:, None]), dim=1)
        table[EOS, -1] = NEVER
        return cls(table, selector)

    def without(self, units: Sequence[int]) -> Prior:
        """Rule some units out."""
        table = self.table.clone()
        table[list(units), -1] = NEVER
        return Prior(table, self.selector)

    def queries(self, context: Context) -> Tensor:
        """One for every position. Shape: (B, N, R + 1)."""
        ones = torch.ones(*context.shares.shape[:2], 1)
        if self.selector is None:
            return ones
        held = self.table[context.units.clamp_min(0)][:, :, :, :-1]
        return torch.cat((self.selector(context, held), ones), dim=2)

    def log_length(self, context: Context, positions: int) -> Tensor:
        """Log probability of every length. Shape: (B, positions)."""
        if self.selector is None:
            return torch.zeros(len(context.length), positions)
        return self.selector.log_length(context)


class UnitPrior:
    """Log unigram prior of all units, and how many units there are at each of its levels.

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

    def rest(self, units: Tensor, lowest: Tensor, variance: Tensor, quick: Tensor) -> Tensor:
        """Log of the summed ``exp(logit)`` of all units that were not retrieved, as expected.

        The inner product of an intention with a unit that has nothing to do with it is normal, of variance s². The
        searched units that were not retrieved have a logit below the lowest retrieved one, t, so that such a unit of
        log prior b weighs ``exp(b + s²/2) Φ((t - b - s²)/s) / Φ((t - b)/s)``, the mean of a truncated log-normal;
        one that was not searched weighs ``exp(b + s²/2)``.

        Args:
            units: retrieved, -1 where there were too few. Shape: (M, K).
            lowest: the lowest logit among them, -inf if fewer than K were found. Shape: (M,).
            variance: s². Shape: (M,).
            quick: whether only frequent units were searched. Shape: (M,) bool.

        Shape: (M,).
        """
        found = torch.zeros(len(units), _BINS).scatter_add_(1, self._bin[units], (units >= 0).float())
        searched = torch.where(quick[:, None], self._frequent, self._frequent + self._rare)
        left = (searched - found).clamp_min(0.0)
        deviation = variance.sqrt()[:, None]
        reach = ((lowest[:, None] - self._level) / deviation).clamp_min(-_FAR)
        below = torch.special.log_ndtr(reach - deviation) - torch.special.log_ndtr(reach)
        unsearched = quick[:, None] * self._rare
        weights = torch.log(left) + below.clamp_max(0.0)
        everything = torch.logaddexp(weights, torch.log(unsearched)) + self._level
        return torch.logsumexp(everything, dim=1) + variance / 2
