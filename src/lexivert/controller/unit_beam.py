"""Left-to-right beam search over units: exact evidence at each position plus a language model's log probability.

A complete text stands for the units that are still to come, so that each position is judged in what the other units
leave of the vector. What a beam has in another's place is subtracted too: over all positions the evidence of a beam
sums to its log likelihood at the scale and noise variance of the text it started from. The language model reads the
text as it would stand, detokenised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.belief import BeliefState
from lexivert.controller.noise import estimate_noise
from lexivert.controller.observation import Observation
from lexivert.controller.proposals import Substitutes
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.language_model.running_texts import RunningTexts


@dataclass(frozen=True)
class BeamRules:
    """Width and weights of a beam search.

    Attributes:
        beams: kept after each position.
        margin: nats by which a unit, or a beam, may fall short of the best and still be read.
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
        running: what the language model has read of them, behind by units that were beyond doubt.
    """

    units: list[list[int]]
    moved: Tensor
    evidence: Tensor
    running: RunningTexts


class UnitBeam:
    """Searches texts of one length.

    Args:
        codebook: codes, unigram prior and binding.
        language_model: prior over texts.
        write: units to text.
        rules: width and weights.
    """

    def __init__(
        self,
        codebook: Codebook,
        language_model: CausalLanguageModel,
        write: Callable[[Sequence[int]], str],
        rules: BeamRules,
    ) -> None:
        self.codebook = codebook
        self.language_model = language_model
        self.write = write
        self.rules = rules

    def search(self, text: Sequence[int], observed: Observation, substitutes: Substitutes) -> list[list[int]]:
        """The best texts of as many units, the best first.

        Args:
            text: n units to start from.
            observed: one vector.
            substitutes: candidates of every position; the text's own unit need not be among them.
        """
        codebook = self.codebook
        belief = BeliefState.of_lengths(codebook, torch.tensor([len(text)], device=codebook.device))
        places = torch.arange(len(text), device=codebook.device)
        belief.commit(torch.zeros_like(places), places, torch.tensor(list(text), device=codebook.device))
        row = torch.zeros(1, dtype=torch.int64, device=codebook.device)
        estimate = estimate_noise(observed, belief, row, complete=torch.ones_like(row, dtype=torch.bool))
        empty = RunningTexts.empty(self.language_model)
        beams = _Beams([[]], torch.zeros_like(estimate.residual), estimate.residual.new_zeros(1), empty)
        for place, own in enumerate(text):
            units, bonus = self._candidates(place, own, substitutes)
            gains = self._evidence(beams, place, own, units, estimate.residual, float(estimate.variance)) + bonus
            near = (gains >= gains.amax(dim=1, keepdim=True) - self.rules.margin).any(dim=0)
            grow = self._appended if int(near.sum()) == 1 else self._grown
            beams = grow(beams, place, own, units[near], gains[:, near])
        read = beams.running.grown(range(len(beams.units)), [self.write(units) for units in beams.units])
        order = self._scores(replace(beams, running=read)).argsort(descending=True, stable=True).tolist()
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

    def _appended(self, beams: _Beams, place: int, own: int, units: Tensor, gains: Tensor) -> _Beams:
        """All beams with the one unit that may stand there, which is read with the next. Shape: gains (b, 1)."""
        change = self.codebook.embed(units) - self.codebook.embed(units.new_tensor([own]))
        moved = beams.moved + self.codebook.binding.bind(change, units.new_tensor([place]))
        texts = [[*text, int(units[0])] for text in beams.units]
        return _Beams(texts, moved, beams.evidence + gains[:, 0], beams.running)

    def _grown(self, beams: _Beams, place: int, own: int, units: Tensor, gains: Tensor) -> _Beams:
        """The best beams with one more unit each. Shape: gains (b, k)."""
        codebook = self.codebook
        evidence = beams.evidence[:, None] + gains
        bound = evidence + self.rules.language_weight * beams.running.log_probability[:, None]  # it can only fall
        rows, texts, choices = self._worth_reading(beams, units, bound)
        running = beams.running.grown(rows, texts)
        which, chosen = torch.tensor(rows, device=codebook.device), torch.tensor(choices, device=codebook.device)
        change = codebook.embed(units[chosen]) - codebook.embed(units.new_tensor([own]))
        moved = beams.moved[which] + codebook.binding.bind(change, torch.full_like(chosen, place))
        all_units = [[*beams.units[row], int(units[choice])] for row, choice in zip(rows, choices, strict=True)]
        grown = _Beams(all_units, moved, evidence[which, chosen], running)
        best = self._scores(grown).argsort(descending=True, stable=True)[: self.rules.beams]
        kept = best.tolist()
        return _Beams([all_units[row] for row in kept], moved[best], grown.evidence[best], running[kept])

    def _worth_reading(self, beams: _Beams, units: Tensor, bound: Tensor) -> tuple[list[int], list[str], list[int]]:
        """Beams and candidates that may be among the best, by a bound that the next token's probability lowers.

        Twice as many as are kept are read.

        Returns:
            Beam, text and candidate of each.
        """
        near = (bound >= bound.max() - self.rules.margin).nonzero().tolist()
        texts = [self.write([*beams.units[row], int(units[choice])]) for row, choice in near]
        tokens = self.language_model.tokens(texts)
        lowered = []
        for (row, choice), own in zip(near, tokens, strict=True):
            read = beams.running.tokens[row]
            follows = len(own) > len(read) and own[: len(read)] == read
            first = float(beams.running.read.log_probs[row, own[len(read)]]) if follows else 0.0
            lowered.append(float(bound[row, choice]) + self.rules.language_weight * first)
        order = sorted(range(len(near)), key=lambda place: -lowered[place])[: 2 * self.rules.beams]
        rows, choices = ([near[place][part] for place in order] for part in (0, 1))
        return rows, [texts[place] for place in order], choices

    def _scores(self, beams: _Beams) -> Tensor:
        """Log posterior but for a constant. Shape: (b,)."""
        prior = beams.running.log_probability.to(beams.evidence.device)
        return beams.evidence + self.rules.language_weight * prior
