"""From a half-decoded state to scored (unit, position) pairs: evidence, intention, candidates, placement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.controller.buffer import WINDOW, Buffer
from lexivert.controller.channel import Channel
from lexivert.controller.placer import Placement, Placer
from lexivert.controller.prior import UnitPrior
from lexivert.controller.selector import Intention, Selector, Slots
from lexivert.encoder.binding import RotaryBinding
from lexivert.index.faiss_index import UnitIndex

_CLEAR_DEVIATIONS = 6.5
"""How far the right unit's score must stand out for a search of few dimensions to have it on the shortlist."""
_WIDTHS = (128, 256, 384, 512, 768, 1024)
"""Numbers of dimensions that all units are searched in."""


@dataclass(frozen=True)
class Language:
    """What is known about units before any vector is seen.

    Attributes:
        codes: unit codes. Shape: (V, O) float16.
        log_prior: log unigram probability. Shape: (V,).
        binding: position rotations.
        apart: one minus the cosine of two codes that only the spelling tells apart: the identity part's energy.
    """

    codes: Tensor
    log_prior: Tensor
    binding: RotaryBinding
    apart: float = 1.0


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


def see(buffer: Buffer, rows: Tensor, channel: Channel, semantic: Tensor, asked: Tensor, language: Language) -> Slots:
    """Collect what the Selector sees of some texts of a buffer.

    Args:
        buffer: decoded so far.
        rows: the texts, R of them. Shape: (R,).
        channel: their channel.
        semantic: their semantic prefix. Shape: (R, S).
        asked: positions to predict, open or to be examined again. Shape: (R, N) bool.
        language: codes and rotations.
    """
    n = asked.shape[1]
    inside = buffer.inside()[rows, :n]
    evidence = torch.zeros(len(rows), n, language.codes.shape[1])
    held = inside.nonzero(as_tuple=True)
    evidence[held] = buffer.known(rows[held[0]], held[1])
    which = asked.nonzero(as_tuple=True)
    evidence[which] += language.binding.unbind(channel.residual[which[0]], which[1])
    inside[:, 0] = True  # attention needs something to look at, in an empty text too
    return Slots(evidence, asked, inside, semantic, channel.variance, buffer.length[rows])


def score(
    intention: Intention, units: Tensor, products: Tensor, prior: UnitPrior, quick: Tensor
) -> tuple[Tensor, Tensor]:
    """Posterior over candidates, leaving room for the units that were not retrieved (see ``UnitPrior.rest``).

    Args:
        intention: of M positions.
        units: candidates, those of most logit among the searched. Shape: (M, K).
        products: inner products of raw intention and candidate codes. Shape: (M, K).
        prior: of all units.
        quick: whether only frequent units were searched. Shape: (M,) bool.

    Returns:
        log posterior and log odds, both (M, K).
    """
    variance = intention.raw.square().sum(dim=1) / intention.raw.shape[1]
    logits = products + intention.prior_weight * prior.log_prior[units]
    lowest = logits.topk(2, dim=1, largest=False).values[:, 1]  # the very lowest may be a held unit, far below
    outside = prior.rest(units, lowest, variance, intention.prior_weight, quick)
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
    slots: Slots, fits: Tensor, units: Tensor, products: Tensor, posterior: tuple[Tensor, Tensor], log_prior: Tensor
) -> Placement:
    """Turn a posterior into the Placer's features; see ``Placement`` for shapes."""
    log_posterior, log_odds = posterior
    which, where = slots.open.nonzero(as_tuple=True)
    rows = (which, where)
    batch, n = slots.open.shape
    best = torch.zeros(batch, n)
    best[rows] = log_posterior.amax(dim=1).clamp_min(-20.0)
    positions = torch.arange(n)
    features = torch.stack(
        (
            (torch.log(slots.variance * slots.evidence.shape[2]) / 4.0)[:, None].expand(batch, n),
            (torch.log1p(slots.length.float()) / 4.0)[:, None].expand(batch, n),
            positions[None, :] / slots.length.clamp_min(1)[:, None],
            slots.open.float(),
            best / 5.0,
            fits[:, positions // WINDOW].clamp(-1.0, 3.0),
        ),
        dim=2,
    )
    agreement = products * slots.variance[rows[0], None]
    surprise = (agreement - 1.0) / slots.variance[rows[0], None].sqrt()
    candidates = torch.stack(
        (
            log_posterior.clamp_min(-20.0) / 5.0,
            (products - products.amax(dim=1, keepdim=True)).clamp_min(-50.0) / 10.0,
            agreement.clamp(-3.0, 3.0),
            surprise.clamp(-10.0, 10.0) / 5.0,
            log_prior[units] / 10.0,
        ),
        dim=2,
    )
    return Placement(features, slots.inside, rows, candidates, log_odds)


class Proposer:
    """Selector, index and Placer in a row.

    Args:
        selector: the Selector.
        placer: the Placer.
        index: nearest units.
        language: codes, prior, rotations.
        candidates: K.
    """

    def __init__(
        self, selector: Selector, placer: Placer, index: UnitIndex, language: Language, candidates: int
    ) -> None:
        self.selector = selector
        self.placer = placer
        self.index = index
        self.language = language
        self.candidates = candidates
        self.prior = UnitPrior(language.log_prior, index.frequent)

    def retrieve(self, intention: Intention, quick: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
        """Find the candidates of most inner product plus log prior: among the frequent units or among all.

        Args:
            intention: of M positions.
            quick: positions for which frequent units are enough. Shape: (M,) bool.
            variance: noise per dimension. Shape: (M,).

        Returns:
            Inner products with the raw intention, and units. Shape: two (M, K).
        """
        length = intention.raw.norm(dim=1)
        count = min(self.candidates, self.index.frequent)
        products = torch.empty(len(quick), count)
        units = torch.empty(len(quick), count, dtype=torch.int64)
        log_prior = self.language.log_prior
        bias = (intention.prior_weight / length.clamp_min(1e-6)).detach()
        for chosen, search in self._searches(quick, variance):
            if chosen.any():
                biases = (bias[chosen].numpy(), log_prior.numpy())
                found, ids = search(intention.normalised[chosen].numpy(), count, biases)
                products[chosen], units[chosen] = torch.from_numpy(found), torch.from_numpy(ids)
        return (products - bias[:, None] * log_prior[units]) * length[:, None], units

    def _searches(self, quick: Tensor, variance: Tensor) -> Iterator[tuple[Tensor, Callable[..., tuple[Any, Any]]]]:
        """Tell which positions are searched how: the less noise, the fewer code dimensions tell the units apart.

        In d of O dimensions the right unit's inner product stands ``sqrt(d / (1 + O·variance))`` deviations above
        those of the units that have nothing to do with the evidence. An index other than Flat is left to itself.
        """
        index = self.index
        needed = _CLEAR_DEVIATIONS**2 * (1.0 + self.language.codes.shape[1] * variance)
        yield quick, index.search_frequent
        if not index.scans:
            yield ~quick, index.search
            return
        enough = 0
        for width in (*(width for width in _WIDTHS if width < index.searched_width), index.searched_width):
            yield ~quick & (needed > enough) & (needed <= width), partial(index.search, width=width)
            enough = width
        yield ~quick & (needed > enough), index.search_exact

    def _with_held(
        self, intention: Intention, held: Tensor, products: Tensor, units: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Put what is held at a position in the place of the last candidate, unless it is one.

        A shortlist of few dimensions may miss a unit whose evidence is weak; what was once found must not be lost so.
        """
        missed = (held >= 0) & (units != held[:, None]).all(dim=1)
        products[missed, -1] = (intention.raw[missed] * self.language.codes[held[missed]].float()).sum(dim=1)
        units[missed, -1] = held[missed]
        return products, units

    def propose(self, slots: Slots, fits: Tensor, quick: Tensor, held: Tensor) -> Proposal:
        """Score candidates for every asked position.

        Args:
            slots: what the Selector sees.
            fits: window fits. Shape: (B, windows).
            quick: positions for which frequent units are enough. Shape: (M,) bool.
            held: unit that each position holds, as a guess or committed, or -1. Shape: (M,).
        """
        intention = self.selector(slots)
        rows, positions = slots.open.nonzero(as_tuple=True)
        found = self.retrieve(intention, quick, slots.variance[rows])
        products, units = self._with_held(intention, held, *found)
        posterior = score(intention, units, products, self.prior, quick)
        log_odds = self.placer(placement(slots, fits, units, products, posterior, self.language.log_prior))
        return Proposal(rows, positions, units, log_odds, posterior[0].exp())
