"""Left-to-right beam search over units: exact evidence at each position plus a language model's log probability.

A complete text stands for the units that are still to come, so that each position is judged in what the other units
leave of the vector. What a beam has in another's place is subtracted too: over all positions the evidence of a beam
sums to its log likelihood at the scale and noise variance of the text it started from. The language model reads the
text as it would stand, detokenised. What the semantic prefix says of a beginning is asked by embedding it with the
rest of the complete text behind it: without that, beams make fluent texts of another meaning.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.belief import BeliefState
from lexivert.controller.first_tokens import FirstTokens
from lexivert.controller.noise import estimate_noise
from lexivert.controller.observation import Observation
from lexivert.controller.proposals import Substitutes
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.language_model.running_texts import RunningTexts

_UNITS = 3  # times as many units as beams are embedded at a position


@dataclass(frozen=True)
class BeamRules:
    """Width and weights of a beam search.

    Attributes:
        beams: kept after each position.
        margin: nats by which a unit, or a beam, may fall short of the best and still be looked at.
        language_weight: on the language model's log probability.
        selector_weight: on the learned prior's log ratio against the unigram prior.
    """

    beams: int
    margin: float
    language_weight: float
    selector_weight: float


@dataclass(frozen=True)
class _Beams:
    """Beginnings of texts.

    Attributes:
        units: of each.
        moved: bound codes of their units, less those of the text they started from. Shape: (b, O).
        evidence: log likelihood ratio against that text, plus the Selector's part. Shape: (b,).
        running: what the language model has read of them, behind by the last units.
        prefix: semantic prefix's evidence of each, completed by the text they started from. Shape: (b,).
    """

    units: list[list[int]]
    moved: Tensor
    evidence: Tensor
    running: RunningTexts
    prefix: Tensor


class UnitBeam:
    """Searches texts of one length.

    Args:
        codebook: codes, unigram prior and binding.
        language_model: prior over texts.
        first_tokens: what it says of units before it reads them.
        write: units to text.
        prefix_evidence: log likelihood of the semantic prefix, of some texts.
        rules: width and weights.
    """

    def __init__(
        self,
        codebook: Codebook,
        language_model: CausalLanguageModel,
        first_tokens: FirstTokens,
        write: Callable[[Sequence[int]], str],
        prefix_evidence: Callable[[Sequence[Sequence[int]]], Tensor],
        rules: BeamRules,
    ) -> None:
        self.codebook = codebook
        self.language_model = language_model
        self.first_tokens = first_tokens
        self.write = write
        self.prefix_evidence = prefix_evidence
        self.rules = rules

    def search(
        self, text: Sequence[int], observed: Observation, substitutes: Substitutes, deadline: float = math.inf
    ) -> list[list[int]]:
        """The best texts of as many units, the best first.

        Args:
            text: n units to start from.
            observed: one vector.
            substitutes: candidates of every position; the text's own unit need not be among them.
            deadline: of ``time.monotonic``, from which on the text's own units are taken over.
        """
        codebook = self.codebook
        belief = BeliefState.of_lengths(codebook, torch.tensor([len(text)], device=codebook.device))
        places = torch.arange(len(text), device=codebook.device)
        belief.commit(torch.zeros_like(places), places, torch.tensor(list(text), device=codebook.device))
        row = torch.zeros(1, dtype=torch.int64, device=codebook.device)
        estimate = estimate_noise(observed, belief, row, complete=torch.ones_like(row, dtype=torch.bool))
        empty = RunningTexts.empty(self.language_model)
        nothing = estimate.residual.new_zeros(1)
        beams = _Beams([[]], torch.zeros_like(estimate.residual), nothing, empty, nothing)
        for place, own in enumerate(text):
            units, bonus = self._candidates(place, own, substitutes)
            if time.monotonic() >= deadline:
                units, bonus = units[:1], bonus[:1]
            gains = self._evidence(beams, place, own, units, estimate.residual, float(estimate.variance)) + bonus
            near = (gains >= gains.amax(dim=1, keepdim=True) - self.rules.margin).any(dim=0)
            grow = self._appended if int(near.sum()) == 1 else self._grown
            beams = grow(beams, place, text, units[near], gains[:, near])
        order = self._scores(self._read(beams)).argsort(descending=True, stable=True).tolist()
        return [beams.units[row] for row in order]

    def _candidates(self, place: int, own: int, substitutes: Substitutes) -> tuple[Tensor, Tensor]:
        """Distinct units of a position, its own first, and the Selector's part of each. Shape: two (k,)."""
        found = substitutes.units[place]
        there = (found >= 0) & (found != own)
        units = torch.cat((found.new_tensor([own]), found[there]))
        same = found == own
        prior = substitutes.log_prior[place]
        own_prior = prior[same][:1] if bool(same.any()) else prior.min()[None]
        ratio = torch.cat((own_prior, prior[there])) - self.codebook.log_prior[units]
        return units, self.rules.selector_weight * ratio

    def _evidence(
        self, beams: _Beams, place: int, own: int, units: Tensor, residual: Tensor, variance: float
    ) -> Tensor:
        """Log likelihood ratio of every unit at a position against the text's own, in each beam. Shape: (b, k)."""
        codebook = self.codebook
        positions = torch.full((len(beams.units),), place, device=codebook.device)
        left = codebook.binding.unbind(residual - beams.moved, positions)
        change = codebook.embed(units) - codebook.embed(units.new_tensor([own]))
        evidence: Tensor = (left @ change.T - change.square().sum(dim=1) / 2.0) / variance
        return evidence

    def _appended(self, beams: _Beams, place: int, text: Sequence[int], units: Tensor, gains: Tensor) -> _Beams:
        """All beams with the one unit that may stand there, which is read with the next. Shape: gains (b, 1)."""
        change = self.codebook.embed(units) - self.codebook.embed(units.new_tensor([text[place]]))
        moved = beams.moved + self.codebook.binding.bind(change, units.new_tensor([place]))
        longer = [[*own, int(units[0])] for own in beams.units]
        return replace(beams, units=longer, moved=moved, evidence=beams.evidence + gains[:, 0])

    def _grown(self, beams: _Beams, place: int, text: Sequence[int], units: Tensor, gains: Tensor) -> _Beams:
        """The best beams with one more unit each.

        More than are kept are embedded, completed by the text they started from. Shape: gains (b, k).
        """
        codebook = self.codebook
        beams = self._read(beams)
        evidence = beams.evidence[:, None] + gains
        prior = self._prior(beams)[:, None] + self.first_tokens.log_probs(beams.running.read.log_probs, units)
        likely = evidence + self.rules.language_weight * prior + beams.prefix[:, None]
        best = self._likeliest(likely)
        likely = likely.flatten()
        rows, chosen = best // len(units), best % len(units)
        pairs = zip(rows.tolist(), units[chosen].tolist(), strict=True)
        longer = [[*beams.units[row], unit] for row, unit in pairs]
        prefix = self.prefix_evidence([(*own, *text[place + 1 :]) for own in longer])
        kept = (likely[best] - beams.prefix[rows] + prefix).topk(min(len(best), self.rules.beams)).indices
        rows, chosen = rows[kept], chosen[kept]
        change = codebook.embed(units[chosen]) - codebook.embed(units.new_tensor([text[place]]))
        moved = beams.moved[rows] + codebook.binding.bind(change, torch.full_like(chosen, place))
        texts = [longer[row] for row in kept.tolist()]
        return _Beams(texts, moved, evidence[rows, chosen], beams.running[rows.tolist()], prefix[kept])

    def _likeliest(self, likely: Tensor) -> Tensor:
        """Pairs of a beam and a unit: the likeliest of all, and of the likeliest units each with its likeliest beam.

        Beams that differ elsewhere would crowd out all units but one. Shape: (b, k) to (pairs,), flat.
        """
        least, count = likely.max() - self.rules.margin, likely.shape[1]
        first = likely.flatten().topk(min(self.rules.beams, likely.numel())).indices
        of_unit, row = likely.max(dim=0)
        units = of_unit.topk(min(_UNITS * self.rules.beams, count)).indices
        pairs = dict.fromkeys((*first.tolist(), *(row[units] * count + units).tolist()))
        chosen = torch.tensor(list(pairs), device=likely.device)
        return chosen[likely.flatten()[chosen] >= least]

    def _read(self, beams: _Beams) -> _Beams:
        """The same with all that is written read by the language model."""
        texts = [self.write(units) for units in beams.units]
        return replace(beams, running=beams.running.grown(range(len(texts)), texts))

    def _scores(self, beams: _Beams) -> Tensor:
        """Log posterior but for a constant. Shape: (b,)."""
        return beams.evidence + beams.prefix + self.rules.language_weight * self._prior(beams)

    def _prior(self, beams: _Beams) -> Tensor:
        """Log probability of what the language model has read. Shape: (b,)."""
        return beams.running.log_probability.to(beams.evidence.device)
