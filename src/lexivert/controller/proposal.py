"""From a half-decoded state to scored (unit, position) pairs: evidence, intention, candidates, placement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.controller.buffer import WINDOW, Buffer
from lexivert.controller.channel import Channel, prefix_cosine
from lexivert.controller.language import Language
from lexivert.controller.placer import Placement, Placer
from lexivert.controller.prior import Prior, UnitPrior
from lexivert.controller.selector import Context
from lexivert.index.faiss_index import UnitIndex

_CLEAR_DEVIATIONS = 6.0
"""How far the right unit's score must stand out for a search of few dimensions to have it on the shortlist."""
_WIDTHS = (128, 256, 384, 512, 768, 1024)
"""Numbers of dimensions that all units are searched in."""


@dataclass(frozen=True)
class Slots:
    """M positions to be decoded, of B texts padded to N positions.

    Attributes:
        asked: which positions. Shape: (B, N) bool.
        inside: positions before END; the first always. Shape: (B, N) bool.
        rows: text of each. Shape: (M,).
        positions: the position. Shape: (M,).
        evidence: noisy copy of the code there. Shape: (M, O).
        queries: the prior's, see ``Prior``. Shape: (M, R + 1).
        variance: noise per dimension of each text's evidence. Shape: (B,).
        length: units before END. Shape: (B,).
    """

    asked: Tensor
    inside: Tensor
    rows: Tensor
    positions: Tensor
    evidence: Tensor
    queries: Tensor
    variance: Tensor
    length: Tensor

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
        log_odds: the Placer's log odds that the candidate is right. Shape: (M, K).
        probabilities: the Selector's posterior. Shape: (M, K).
    """

    rows: Tensor
    positions: Tensor
    units: Tensor
    log_odds: Tensor
    probabilities: Tensor


def score(slots: Slots, units: Tensor, logits: Tensor, unigram: UnitPrior, quick: Tensor) -> tuple[Tensor, Tensor]:
    """Posterior over candidates, leaving room for the units that were not retrieved (see ``UnitPrior.rest``).

    Args:
        slots: M positions.
        units: candidates, those of most logit among the searched but for what a shortlist misses. Shape: (M, K).
        logits: log likelihood ratio plus log prior of each. Shape: (M, K).
        unigram: of all units.
        quick: whether only frequent units were searched. Shape: (M,) bool.

    Returns:
        log posterior and log odds, both (M, K).
    """
    variance = slots.intentions.square().sum(dim=1) / slots.evidence.shape[1]
    lowest = logits.topk(2, dim=1, largest=False).values[:, 1]  # the very lowest may be a held unit, far below
    outside = unigram.rest(units, lowest, variance, quick)
    everything = torch.cat((logits, outside[:, None]), dim=1)
    log_posterior = F.log_softmax(everything, dim=1)[:, :-1]
    log_odds = log_posterior - torch.log1p(-log_posterior.exp().clamp(max=1 - 1e-6))
    return log_posterior, log_odds


def window_fit(buffer: Buffer, rows: Tensor, channel: Channel, target: Tensor) -> Tensor:
    """How well each phrase window's committed units explain the vector: about 1 where right, 1 where empty.

    Shape: target (R, O), result (R, windows).
    """
    windows = buffer.windows[rows]
    energy = windows.square().sum(dim=2)
    explained = torch.einsum("rwo,ro->rw", windows, channel.scale[:, None] * target)
    return torch.where(energy > 0.5, explained / energy.clamp_min(0.5), torch.ones_like(energy))


def placement(
    slots: Slots, fits: Tensor, products: Tensor, log_prior: Tensor, posterior: tuple[Tensor, Tensor]
) -> Placement:
    """Turn a posterior into the Placer's features; see ``Placement`` for shapes.

    Args:
        slots: M positions.
        fits: window fits. Shape: (B, windows).
        products: log likelihood ratio of each candidate, the prior left out. Shape: (M, K).
        log_prior: the prior alone. Shape: (M, K).
        posterior: from ``score``.
    """
    log_posterior, log_odds = posterior
    rows = (slots.rows, slots.positions)
    batch, n = slots.asked.shape
    best = torch.zeros(batch, n)
    best[rows] = log_posterior.amax(dim=1).clamp_min(-20.0)
    positions = torch.arange(n)
    features = torch.stack(
        (
            (torch.log(slots.variance * slots.evidence.shape[1]) / 4.0)[:, None].expand(batch, n),
            (torch.log1p(slots.length.float()) / 4.0)[:, None].expand(batch, n),
            positions[None, :] / slots.length.clamp_min(1)[:, None],
            slots.asked.float(),
            best / 5.0,
            fits[:, positions // WINDOW].clamp(-1.0, 3.0),
        ),
        dim=2,
    )
    variance = slots.variance[rows[0], None]
    agreement = products * variance
    surprise = (agreement - 1.0) / variance.sqrt()
    candidates = torch.stack(
        (
            log_posterior.clamp_min(-20.0) / 5.0,
            (products - products.amax(dim=1, keepdim=True)).clamp_min(-50.0) / 10.0,
            agreement.clamp(-3.0, 3.0),
            surprise.clamp(-10.0, 10.0) / 5.0,
            log_prior.clamp_min(-20.0) / 10.0,
        ),
        dim=2,
    )
    return Placement(features, slots.inside, rows, candidates, log_odds)


class Proposer:
    """Prior, index and Placer in a row.

    Args:
        prior: the Selector's, or a fixed one.
        placer: the Placer.
        index: nearest units.
        language: codes, unigram prior, rotations.
        candidates: K.
    """

    def __init__(self, prior: Prior, placer: Placer, index: UnitIndex, language: Language, candidates: int) -> None:
        self.prior = prior
        self.placer = placer
        self.index = index
        self.language = language
        self.candidates = candidates
        self.unigram = UnitPrior(language.log_prior, index.frequent)

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
        inside = buffer.inside()[rows, :n]
        which, positions = asked.nonzero(as_tuple=True)
        evidence = self.language.binding.unbind(channel.residual[which], positions)
        evidence += buffer.known(rows[which], positions)
        width = evidence.shape[1]
        cosine = prefix_cosine(channel.cosine, width, semantic.shape[1], self.language.semantic_share)
        units, shares = buffer.held(rows, n)
        context = Context(units, shares, buffer.length[rows], semantic, cosine * semantic.norm(dim=1))
        queries = self.prior.queries(context)[which, positions]
        inside[:, 0] = True  # attention needs something to look at, in an empty text too
        return Slots(asked, inside, which, positions, evidence, queries, channel.variance, context.length)

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
        products = (self.language.codes[lost].float() * intentions[missed]).sum(dim=1)
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
        needed = _CLEAR_DEVIATIONS**2 * (1.0 + self.language.codes.shape[1] * variance)
        enough = 0
        for width in (width for width in _WIDTHS if width < self.language.codes.shape[1]):
            chosen = ~quick & (needed > enough) & (needed <= width)
            yield chosen, partial(index.scan, width=width, biased=False)
            enough = width
        yield ~quick & (needed > enough), index.scan

    def candidates_of(
        self, slots: Slots, fits: Tensor, quick: Tensor, held: Tensor
    ) -> tuple[Placement, Tensor, Tensor]:
        """Candidates of every position, as the Placer sees them.

        Args:
            slots: M positions.
            fits: window fits. Shape: (B, windows).
            quick: positions for which frequent units are enough. Shape: (M,) bool.
            held: see ``retrieve``. Shape: (M,).

        Returns:
            Placement, units (M, K) and log posterior (M, K).
        """
        units, logits = self.retrieve(slots, quick, held)
        log_prior = torch.bmm(self.prior.table[units.clamp_min(0)], slots.queries[:, :, None])[:, :, 0]
        posterior = score(slots, units, logits, self.unigram, quick)
        return placement(slots, fits, logits - log_prior, log_prior, posterior), units, posterior[0]

    def propose(self, slots: Slots, fits: Tensor, quick: Tensor, held: Tensor) -> Proposal:
        """Score candidates for every asked position; see ``candidates_of``."""
        seen, units, log_posterior = self.candidates_of(slots, fits, quick, held)
        return Proposal(slots.rows, slots.positions, units, self.placer(seen), log_posterior.exp())
