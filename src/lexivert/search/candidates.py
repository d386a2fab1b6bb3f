"""Posteriors over the few units that were likely when all were last compared: for vectors tried many times."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lexivert.search.faiss_index import Bias, Posterior, UnitIndex
from lexivert.text.lexicon import NEVER

_FULL = (0, 2, 5, 10, 17)  # rounds in which all units are compared; most happens in the first
_CANDIDATES = 192  # units a query that come onto the list of its place in such a round
_LONGEST = 1024
_NUMBERS = 48_000_000  # of code dimensions on all lists together: 192 MB


class CandidateLists:
    """Posteriors for queries at places of one text, by the units on a place's list; a call is a round.

    Between the rounds in which all units are compared, what is not listed has no probability, and ``whole`` is
    relative to the prior of what is: enough for texts of given length, where nothing but the units is unknown.

    All ways in which one vector is tried ask for the same places, and what is likely in one of them is likely enough
    in the others to share a list a place. So most rounds compare a hundredth of the units, and the product of queries
    and codes is one of small dense matrices.

    Args:
        index: of all units.
        places: positions of the text, N, at least 1.
    """

    def __init__(self, index: UnitIndex, places: int) -> None:
        self.index = index
        self.longest = min(max(_NUMBERS // (places * index.codes.shape[1]), 32), _LONGEST, len(index))
        self._round = 0
        self._units = torch.zeros(places, 0, dtype=torch.int64)
        self._codes = torch.zeros(places, 0, index.codes.shape[1])
        self._bias = torch.zeros(places, 0, 0)

    def posterior(self, queries: Tensor, k: int, bias: Bias, places: Tensor) -> Posterior:
        """Softmax of inner product plus bias over a place's list, in some rounds over all units.

        Args:
            queries: evidence over noise variance. Shape: (M, O).
            k: units that are named.
            bias: of queries (M, R) and of units (V, R).
            places: of each query, from 0 to N - 1. Shape: (M,).
        """
        number, self._round = self._round, self._round + 1
        if number in _FULL:
            found = self.index.posterior(queries, _CANDIDATES, bias)
            self._renew(found.units, places, bias[1])
            return Posterior(found.mean, found.units[:, :k], found.shares[:, :k], found.whole)
        return self._listed(queries, k, bias[0], places)

    def _renew(self, units: Tensor, places: Tensor, table: Tensor) -> None:
        """New lists: first what any query of the place likes most, last what was listed before.

        Shape: units (M, k), places (M,), table (V, R).
        """
        lists: list[list[int]] = []
        for place, before in enumerate(self._units.tolist()):
            liked = units[places == place].T.flatten().tolist()
            lists.append(list(dict.fromkeys(unit for unit in (*liked, *before) if unit >= 0))[: self.longest])
        self._units = pad_sequence(
            [torch.tensor(row, dtype=torch.int64) for row in lists], batch_first=True, padding_value=-1
        )
        missing = self._units < 0
        self._codes = torch.from_numpy(self.index.codes)[self._units.clamp_min(0)].float()
        self._codes[missing] = 0.0
        self._bias = table[self._units.clamp_min(0)]
        self._bias[missing] = 0.0
        self._bias[:, :, -1].masked_fill_(missing, NEVER)  # a query's last entry is 1

    def _listed(self, queries: Tensor, k: int, bias: Tensor, places: Tensor) -> Posterior:
        """Softmax over the lists alone."""
        rank = torch.zeros(len(places), dtype=torch.int64)
        counts = torch.bincount(places, minlength=len(self._units))
        order = places.argsort(stable=True)
        rank[order] = torch.arange(len(places)) - (counts.cumsum(0) - counts)[places[order]]
        shape = (len(self._units), int(counts.max()))
        asked, wanted = torch.zeros(*shape, queries.shape[1]), torch.zeros(*shape, bias.shape[1])
        asked[places, rank], wanted[places, rank] = queries, bias
        scores = torch.bmm(wanted, self._bias.transpose(1, 2))
        normaliser = scores.logsumexp(dim=2)
        scores = scores.baddbmm_(asked, self._codes.transpose(1, 2))
        whole = scores.logsumexp(dim=2)
        shares = torch.exp(scores - whole[:, :, None])
        mean = torch.bmm(shares, self._codes)
        shares, best = shares.topk(min(k, shares.shape[2]), dim=2)
        units = self._units[:, None, :].expand(-1, shape[1], -1).gather(2, best)
        return Posterior(*(part[places, rank] for part in (mean, units, shares, whole - normaliser)))
