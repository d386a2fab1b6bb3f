"""Posteriors over lists of candidates: a vector that is decoded many times over shares its lists between restarts."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lexivert.controller.evidence import Evidence
from lexivert.controller.posterior import IndexPosterior, Posterior, softmax_with_tail
from lexivert.text.lexicon import NEVER

FULL_ROUNDS = (0, 2, 5, 10, 17)
"""Rounds in which all units are compared; most happens in the first."""
LISTED = 192
"""Units a query that come onto its position's list in such a round."""
_LONGEST = 1024
_NUMBERS = 48_000_000  # of code dimensions on all lists together: 192 MB


class CandidateLists:
    """Posteriors for queries at positions of one text, by the units on a position's list; a call is a round.

    Between the rounds in which all units are compared, what is not listed has no probability, and the log evidence is
    relative to the prior of what is: enough for texts of given length, where nothing but the units is unknown.

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
        """Posterior over a position's list, in some rounds over all units; see ``PosteriorSource``."""
        number, self._round = self._round, self._round + 1
        if number in self.full_rounds:
            found = self.source.posterior(evidence, self.listed)
            self._renew(found.units[:, : self.listed], positions)
            return replace(found, units=found.units[:, :k], marginals=found.marginals[:, :k])
        return self._over_lists(evidence, k, positions)

    def _renew(self, units: Tensor, positions: Tensor) -> None:
        """New lists: first what any query of the position likes most, last what was listed before.

        Shape: units (m, k), positions (m,).
        """
        lists: list[Tensor] = []
        for position, before in enumerate(self._units.tolist()):
            liked = units[positions == position].T.flatten().tolist()
            kept = list(dict.fromkeys(unit for unit in (*liked, *before) if unit >= 0))[: self.longest]
            lists.append(torch.tensor(kept, dtype=torch.int64, device=units.device))
        self._units = pad_sequence(lists, batch_first=True, padding_value=-1)
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
