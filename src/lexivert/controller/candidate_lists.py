"""Posteriors over lists of candidates: a vector that is decoded many times over shares its lists between restarts."""

from __future__ import annotations

import torch
from torch import Tensor

from lexivert.controller.evidence import Evidence
from lexivert.controller.posterior import IndexPosterior, Posterior, softmax_with_tail
from lexivert.search.rough_scores import Logits
from lexivert.text.lexicon import NEVER

FULL_ROUNDS = (0, 2, 5, 10, 17)
"""Rounds in which all units are compared for new lists; most happens in the first."""
LISTED = 128
"""Units a query that come onto its position's list in such a round."""
_LONGEST = 1024
_NUMBERS = 24_000_000  # of code dimensions on all lists together: 96 MB


class CandidateLists:
    """Posteriors for queries at positions of one text, by the units on a position's list; a call is a round.

    What is not listed has no probability, and the log evidence is relative to the prior of what is: enough for texts
    of given length, where nothing but the units is unknown.

    All restarts of one vector ask for the same positions, and what is likely in one of them is likely enough in the
    others to share a list a position. So most rounds compare a hundredth of the units, and the product of queries and
    codes is one of small dense matrices.

    Args:
        source: compares all units.
        positions: of the text, N, at least 1.
        full_rounds: numbers of the rounds in which all units are compared; 0 must be one.
        listed: units a query that come onto a list in such a round.
    """

    def __init__(
        self,
        source: IndexPosterior,
        positions: int,
        full_rounds: tuple[int, ...] = FULL_ROUNDS,
        listed: int = LISTED,
    ) -> None:
        self.source = source
        self.full_rounds = full_rounds
        self.listed = listed
        index = source.index
        self.longest = min(max(_NUMBERS // (positions * index.codes.shape[1]), 32), _LONGEST, len(index))
        self._round = 0
        device = index.codes.device
        self._units = torch.zeros(positions, 0, dtype=torch.int64, device=device)
        self._codes = torch.zeros(positions, 0, index.codes.shape[1], device=device)
        self._weight = torch.zeros(positions, 0, 0, device=device)
        self._bias = torch.zeros(positions, 0, device=device)
        self._half_energies = torch.zeros(positions, 0, device=device)

    def posterior(self, evidence: Evidence, k: int, positions: Tensor) -> Posterior:
        """Posterior over a position's list, in some rounds a new one; see ``PosteriorSource``."""
        number, self._round = self._round, self._round + 1
        if number in self.full_rounds:
            self._renew(self._likely(evidence), positions)
        return self._over_lists(evidence, k, positions)

    def _likely(self, evidence: Evidence) -> Tensor:
        """The likeliest of all units, the best first; -1 where fewer are found. Shape: (m, listed)."""
        if self.source.index.scans:
            prior = Logits(evidence.queries, self.source.prior.output, 1.0 / evidence.variance)
            return self.source.index.scan(evidence.natural, self.listed, prior).units
        return self.source.posterior(evidence, self.listed).units[:, : self.listed]

    def _renew(self, units: Tensor, positions: Tensor) -> None:
        """New lists: first what any query of the position likes most, last what was listed before.

        Shape: units (m, k), positions (m,).
        """
        (count, listed), (_, k) = self._units.shape, units.shape
        every = torch.arange(count, device=units.device)
        place = torch.cat((positions.repeat_interleave(k), every.repeat_interleave(listed)))
        liking = torch.arange(k, device=units.device).repeat(len(units))
        rank = torch.cat((liking, torch.full((count * listed,), k, device=units.device)))
        named = torch.cat((units.flatten(), self._units.flatten()))
        self._units = distinct_lists(named, place, rank, count)[:, : self.longest]
        missing, output = self._units < 0, self.source.prior.output
        self._codes = self.source.index.codes[self._units.clamp_min(0)].float()
        self._codes[missing] = 0.0
        self._weight = output.weight[self._units.clamp_min(0)]
        self._half_energies = self.source.index.half_energies[self._units.clamp_min(0)]
        self._bias = output.bias[self._units.clamp_min(0)].masked_fill(missing, NEVER)

    def _over_lists(self, evidence: Evidence, k: int, positions: Tensor) -> Posterior:
        """Posterior over the lists alone: one small matrix product a position."""
        natural, queries = evidence.natural, evidence.queries
        counts = torch.bincount(positions, minlength=len(self._units))
        order = positions.argsort(stable=True)
        rank = torch.zeros_like(positions)
        numbers = torch.arange(len(positions), device=positions.device)
        rank[order] = numbers - (counts.cumsum(0) - counts)[positions[order]]
        shape = (len(self._units), int(counts.max()))
        asked, wanted = natural.new_zeros(*shape, natural.shape[1]), natural.new_zeros(*shape, queries.shape[1])
        asked[positions, rank], wanted[positions, rank] = natural, queries
        precision = natural.new_zeros(shape)
        precision[positions, rank] = 1.0 / evidence.variance
        scores = torch.bmm(wanted, self._weight.transpose(1, 2)) + self._bias[:, None, :]
        log_prior = scores.logsumexp(dim=2)
        scores = scores.baddbmm_(asked, self._codes.transpose(1, 2))
        scores -= precision[:, :, None] * self._half_energies[:, None, :]
        nothing = natural.new_full((len(scores) * shape[1],), -torch.inf)
        marginals, log_partition = softmax_with_tail(scores.flatten(0, 1), nothing)
        marginals = marginals.view(scores.shape)
        mean = torch.bmm(marginals, self._codes)
        energy = 2.0 * torch.bmm(marginals, self._half_energies[:, :, None])[:, :, 0]
        marginals, best = marginals.topk(min(k, marginals.shape[2]), dim=2)
        units = self._units[:, None, :].expand(-1, shape[1], -1).gather(2, best)
        log_evidence = log_partition.view(log_prior.shape) - log_prior
        parts = (part[positions, rank] for part in (units, marginals, mean, energy, log_evidence))
        return Posterior(*parts)


def distinct_lists(units: Tensor, place: Tensor, rank: Tensor, count: int) -> Tensor:
    """The distinct units of every place, those of the lowest rank first, else as they are given.

    Args:
        units: -1 for none. Shape: (m,).
        place: of each unit, from 0. Shape: (m,).
        rank: of each unit. Shape: (m,).
        count: number of places, N.

    Returns:
        Lists, filled up with -1. Shape: (N, longest list).
    """
    order = rank.argsort(stable=True)
    order = order[units[order] >= 0]
    units, place = units[order], place[order]
    again = units.argsort(stable=True)
    again = again[place[again].argsort(stable=True)]  # by place, then unit, then rank
    same = (units[again][1:] == units[again][:-1]) & (place[again][1:] == place[again][:-1])
    first = torch.ones_like(units, dtype=torch.bool)
    first[again[1:]] = ~same
    units, place = units[first], place[first]
    by_place = place.argsort(stable=True)
    units, place = units[by_place], place[by_place]
    counts = torch.bincount(place, minlength=count)
    column = torch.arange(len(units), device=units.device) - (counts.cumsum(0) - counts)[place]
    lists = units.new_full((count, int(counts.max()) if len(counts) else 0), -1)
    lists[place, column] = units
    return lists
