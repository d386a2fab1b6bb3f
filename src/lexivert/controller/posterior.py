"""The posterior over units at a position: exact evidence times prior, over the retrieved units and the tail mass.

In Gaussian noise of variance v, evidence e makes unit u's log posterior ``<e, c(u)> / v - |c(u)|² / 2v + log p(u)``
up to a constant. ``e / v`` is the natural parameter, with which units are searched. Of the V units the k best
are retrieved and scored exactly; what all others weigh together, the tail mass, is measured where all were compared,
and expected where they were not. Both loops of the controller normalise by this one softmax.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from lexivert.controller.evidence import Evidence
from lexivert.priors.base import Prior
from lexivert.search.rough_scores import Logits
from lexivert.search.unit_index import UnitIndex

_BINS = 32
_FAR = 8.0  # deviations beyond which a tail counts as empty


@dataclass(frozen=True)
class Posterior:
    """Posterior over units at m positions.

    Attributes:
        units: candidates, the likeliest first. Shape: (m, k).
        marginals: their probabilities; what is missing to 1 is the tail mass. Shape: (m, k).
        mean: posterior mean of the code, over the retrieved units. Shape: (m, O).
        energy: posterior mean of the code's energy. Shape: (m,).
        log_evidence: log likelihood ratio of a unit against none, ``log Σ_u p(u)·exp(<e, c(u)> / v - |c(u)|² / 2v)``:
            the log marginal likelihood under the prior. Shape: (m,).
    """

    units: Tensor
    marginals: Tensor
    mean: Tensor
    energy: Tensor
    log_evidence: Tensor

    @classmethod
    def joined(cls, parts: list[Posterior]) -> Posterior:
        """Posteriors of several parts, one behind the other."""
        names = ("units", "marginals", "mean", "energy", "log_evidence")
        return cls(**{name: torch.cat([getattr(part, name) for part in parts]) for name in names})


class PosteriorSource(Protocol):
    """Where message passing gets its posteriors from: all units, or lists of them."""

    def posterior(self, evidence: Evidence, k: int, positions: Tensor) -> Posterior:
        """Posterior over units.

        Args:
            evidence: at m positions.
            k: candidates told by name, at least.
            positions: of each query in its text. Shape: (m,).
        """
        ...


def expected_energy(marginals: Tensor, energies: Tensor) -> Tensor:
    """Posterior mean of a code's energy: of the retrieved units, and 1, the mean of all texts, for the tail mass.

    Shape: two (m, k), result (m,).
    """
    return 1.0 + (marginals * (energies - 1.0)).sum(dim=1)


def softmax_with_tail(scores: Tensor, log_tail: Tensor) -> tuple[Tensor, Tensor]:
    """Probabilities of retrieved units, beside the tail of all others.

    Args:
        scores: log posterior of each up to a constant, -inf for none. Shape: (m, k).
        log_tail: log summed ``exp(score)`` of all other units. Shape: (m,).

    Returns:
        Probabilities (m, k), and the log partition function (m,).
    """
    log_partition = torch.logaddexp(scores.logsumexp(dim=1), log_tail)
    return torch.exp(scores - log_partition[:, None]), log_partition


class IndexPosterior:
    """Posteriors with all units compared.

    Args:
        index: compares them.
        prior: over units.
        candidates: units whose codes make up a posterior mean.
    """

    def __init__(self, index: UnitIndex, prior: Prior, candidates: int) -> None:
        self.index = index
        self.prior = prior
        self.candidates = candidates

    def posterior(self, evidence: Evidence, k: int, positions: Tensor | None = None) -> Posterior:  # noqa: ARG002 a list's alone
        """See ``PosteriorSource``."""
        parts = []
        prior = Logits(evidence.queries, self.prior.output, 1.0 / evidence.variance)
        for found in self.index.compare(evidence.natural, max(k, self.candidates), prior):
            marginals, log_partition = softmax_with_tail(found.scores, found.log_tail)
            energy = expected_energy(marginals, 2.0 * self.index.half_energies[found.units.clamp_min(0)])
            ordered, places = marginals.sort(dim=1, descending=True)
            mean = torch.bmm(marginals[:, None, :], found.codes)[:, 0]
            units = found.units.gather(1, places)
            parts.append(Posterior(units, ordered, mean, energy, log_partition - found.log_prior))
        return Posterior.joined(parts)


class ExpectedTail:
    """Tail mass of units that were not compared, as expected from their unigram prior.

    Args:
        log_prior: log unigram probability of all units. Shape: (V,).
        half_energies: half of their codes' squared lengths, about the same for equally likely units. Shape: (V,).
        frequent: the first so many units make up a search of frequent units alone.
    """

    def __init__(self, log_prior: Tensor, half_energies: Tensor, frequent: int) -> None:
        low, high = float(log_prior.min()), float(log_prior.max())
        self._bin = ((log_prior - low) / max(high - low, 1e-6) * _BINS).long().clamp(0, _BINS - 1)
        sums = log_prior.new_zeros(_BINS).index_add_(0, self._bin, log_prior)
        counts = torch.bincount(self._bin, minlength=_BINS).float()
        self._level = sums / counts.clamp_min(1.0)
        energies = log_prior.new_zeros(_BINS).index_add_(0, self._bin, half_energies)
        self._half_energy = energies / counts.clamp_min(1.0)
        self._frequent = torch.bincount(self._bin[:frequent], minlength=_BINS).float()
        self._rare = counts - self._frequent

    def log_tail(
        self, units: Tensor, lowest: Tensor, variance: Tensor, precision: Tensor, frequent_only: Tensor
    ) -> Tensor:
        """Log of the summed ``exp(score)`` of all units that were not retrieved, as expected.

        The inner product of a natural parameter with a unit that has nothing to do with it is normal, of variance s²
        times the code's energy g; the score is that plus ``b = log p - g / 2v``. The searched units that were not
        retrieved have a score below the lowest retrieved one, t, so that, S² being g s², such a unit weighs
        ``exp(b + S²/2) Φ((t - b - S²)/S) / Φ((t - b)/S)``, the mean of a truncated log-normal. Of n that were not
        searched none lies further out than ``sqrt(2 ln n)`` deviations, but for a rare chance that would outweigh all
        others: ``exp(b + S²/2) Φ(sqrt(2 ln n) - S)``.

        Args:
            units: retrieved, -1 where there were too few. Shape: (m, k).
            lowest: the lowest score among them, -inf if fewer than k were found. Shape: (m,).
            variance: s². Shape: (m,).
            precision: 1/v. Shape: (m,).
            frequent_only: whether only frequent units were searched. Shape: (m,) bool.

        Shape: (m,).
        """
        zeros = lowest.new_zeros(len(units), _BINS)
        found = zeros.scatter_add_(1, self._bin[units], (units >= 0).to(lowest.dtype))
        searched = torch.where(frequent_only[:, None], self._frequent, self._frequent + self._rare)
        left = (searched - found).clamp_min(0.0)
        spread = 2.0 * self._half_energy * variance[:, None]
        level = self._level - precision[:, None] * self._half_energy
        deviation = spread.sqrt().clamp_min(1e-6)
        bound = ((lowest[:, None] - level) / deviation).clamp_min(-_FAR)
        below = torch.special.log_ndtr(bound - deviation) - torch.special.log_ndtr(bound)
        furthest = torch.sqrt(2.0 * torch.log(self._rare.sum().clamp_min(1.0)))
        unsearched = torch.log(frequent_only[:, None] * self._rare) + torch.special.log_ndtr(furthest - deviation)
        weights = torch.log(left) + below.clamp_max(0.0)
        everything = torch.logaddexp(weights, unsearched) + level + spread / 2
        return torch.logsumexp(everything, dim=1)
