"""From a half-decoded state to scored (unit, position) pairs: evidence, intention, candidates, posterior."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.belief import Buffer
from lexivert.controller.noise import Channel, prefix_cosine
from lexivert.priors.base import Prior, UnitPrior
from lexivert.priors.selector import Context
from lexivert.search.faiss_index import UnitIndex

_CLEAR_DEVIATIONS = 6.0
"""How far the right unit's score must stand out for a search of few dimensions to have it on the shortlist."""
_WIDTHS = (128, 256, 384, 512, 768, 1024)
"""Numbers of dimensions that all units are searched in."""


@dataclass(frozen=True)
class Slots:
    """M positions to be decoded, of B texts.

    Attributes:
        rows: text of each. Shape: (M,).
        positions: the position. Shape: (M,).
        evidence: noisy copy of the code there. Shape: (M, O).
        queries: the prior's, see ``Prior``. Shape: (M, R + 1).
        variance: noise per dimension of each text's evidence. Shape: (B,).
    """

    rows: Tensor
    positions: Tensor
    evidence: Tensor
    queries: Tensor
    variance: Tensor

    @cached_property
    def intentions(self) -> Tensor:
        """Evidence over variance: inner product with a code plus log prior is a log posterior. Shape: (M, O)."""
        return self.evidence / self.variance[self.rows, None]


@dataclass(frozen=True)
class Proposal:
    """Scored pairs: M positions with K candidates each.

    Attributes:
        rows: text of each position. Shape: (M,).
        positions: the position. Shape: (M,).
        units: candidate units. Shape: (M, K).
        probabilities: posterior of each candidate. Shape: (M, K).
    """

    rows: Tensor
    positions: Tensor
    units: Tensor
    probabilities: Tensor


def score(slots: Slots, units: Tensor, logits: Tensor, unigram: UnitPrior, quick: Tensor) -> Tensor:
    """Log posterior over candidates, leaving room for the units that were not retrieved (see ``UnitPrior.rest``).

    Args:
        slots: M positions.
        units: candidates, those of most logit among the searched but for what a shortlist misses. Shape: (M, K).
        logits: log likelihood ratio plus log prior of each. Shape: (M, K).
        unigram: of all units.
        quick: whether only frequent units were searched. Shape: (M,) bool.

    Shape: (M, K).
    """
    variance = slots.intentions.square().sum(dim=1) / slots.evidence.shape[1]
    lowest = logits.topk(2, dim=1, largest=False).values[:, 1]  # the very lowest may be a held unit, far below
    outside = unigram.rest(units, lowest, variance, quick)
    everything = torch.cat((logits, outside[:, None]), dim=1)
    return F.log_softmax(everything, dim=1)[:, :-1]


class Proposer:
    """Prior and index in a row.

    Args:
        prior: the Selector's, or a fixed one.
        index: nearest units.
        codebook: codes, unigram prior, rotations.
        candidates: K.
    """

    def __init__(self, prior: Prior, index: UnitIndex, codebook: Codebook, candidates: int) -> None:
        self.prior = prior
        self.index = index
        self.codebook = codebook
        self.candidates = candidates
        self.unigram = UnitPrior(codebook.log_prior, index.frequent)

    def see(self, buffer: Buffer, rows: Tensor, channel: Channel, semantic: Tensor, asked: Tensor) -> Slots:
        """Collect what is known of some texts of a buffer.

        Args:
            buffer: decoded so far.
            rows: the texts, R of them. Shape: (R,).
            channel: their channel.
            semantic: their semantic prefix. Shape: (R, S).
            asked: positions to predict, open or to be examined again. Shape: (R, N) bool.
        """
        n = asked.shape[1]
        which, positions = asked.nonzero(as_tuple=True)
        evidence = self.codebook.binding.unbind(channel.residual[which], positions)
        evidence += buffer.known(rows[which], positions)
        width = evidence.shape[1]
        cosine = prefix_cosine(channel.cosine, width, semantic.shape[1], self.codebook.semantic_share)
        units, shares = buffer.held(rows, n)
        context = Context(units, shares, buffer.length[rows], semantic, cosine * semantic.norm(dim=1))
        queries = self.prior.queries(context)[which, positions]
        return Slots(which, positions, evidence, queries, channel.variance)

    def retrieve(self, slots: Slots, quick: Tensor, held: Tensor) -> tuple[Tensor, Tensor]:
        """Find the candidates of most inner product plus log prior: among the frequent units or among all.

        Args:
            slots: M positions.
            quick: positions for which frequent units are enough. Shape: (M,) bool.
            held: unit that each position holds, as a guess or committed, or -1; always among the candidates, as a
                shortlist of few dimensions may miss a unit whose evidence is weak. Shape: (M,).

        Returns:
            Units and their inner products plus log priors, -inf for unit -1, both (M, K).
        """
        count = min(self.candidates, self.index.frequent)
        units = torch.empty(len(quick), count, dtype=torch.int64)
        scores = torch.empty(len(quick), count)
        intentions = slots.intentions
        for chosen, search in self._searches(quick, slots.variance[slots.rows]):
            if chosen.any():
                bias = (slots.queries[chosen], self.prior.table)
                found = search(intentions[chosen].numpy(), count, bias)
                scores[chosen], units[chosen] = (torch.from_numpy(part) for part in found)
        missed = (held >= 0) & (units != held[:, None]).all(dim=1)
        lost = held[missed]
        units[missed, -1] = lost
        products = (self.codebook.codes[lost].float() * intentions[missed]).sum(dim=1)
        scores[missed, -1] = products + (self.prior.table[lost] * slots.queries[missed]).sum(dim=1)
        return units, scores

    def _searches(self, quick: Tensor, variance: Tensor) -> Iterator[tuple[Tensor, Callable[..., tuple[Any, Any]]]]:
        """Tell which positions are searched how: the less noise, the fewer code dimensions tell the units apart.

        In d of O dimensions the right unit's inner product stands ``sqrt(d / (1 + O·variance))`` deviations above
        those of the units that have nothing to do with the evidence. An index other than Flat is left to itself.
        """
        index = self.index
        yield quick, partial(index.scan, width=index.searched_width, first=index.frequent)
        if not index.scans:
            yield ~quick, index.search
            return
        needed = _CLEAR_DEVIATIONS**2 * (1.0 + self.codebook.codes.shape[1] * variance)
        enough = 0
        for width in (width for width in _WIDTHS if width < self.codebook.codes.shape[1]):
            chosen = ~quick & (needed > enough) & (needed <= width)
            yield chosen, partial(index.scan, width=width, biased=False)
            enough = width
        yield ~quick & (needed > enough), index.scan

    def propose(self, slots: Slots, quick: Tensor, held: Tensor) -> Proposal:
        """Find and score candidates for every asked position.

        Args:
            slots: M positions.
            quick: positions for which frequent units are enough. Shape: (M,) bool.
            held: see ``retrieve``. Shape: (M,).
        """
        units, logits = self.retrieve(slots, quick, held)
        log_posterior = score(slots, units, logits, self.unigram, quick)
        return Proposal(slots.rows, slots.positions, units, log_posterior.exp())
