"""Proposals: texts that differ from a complete one by one unit put in another's place, put in, or left out.

The candidates of a place are the units of most posterior probability there, all other units subtracted from the
vector: exact evidence times the learned prior. How much likelier each makes the order part is exact, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.controller.base import Parts
from lexivert.controller.belief import OPEN, BeliefState
from lexivert.controller.evidence import Evidence, Positions, evidence_at
from lexivert.controller.noise import estimate_noise
from lexivert.controller.observation import Observation
from lexivert.controller.total_score import log_likelihood
from lexivert.search.rough_scores import Logits


@dataclass(frozen=True)
class Proposal:
    """A changed text.

    Attributes:
        text: unit ids.
        gain: in order evidence and learned log prior over the text that was changed.
        log_prior: the learned prior's part of it.
        position: whose unit was replaced, or -1 where a unit was put in or left out.
    """

    text: tuple[int, ...]
    gain: float
    log_prior: float
    position: int


@dataclass(frozen=True)
class Substitutes:
    """Units that may stand at each position of a text, itself among them.

    Attributes:
        units: the likeliest first, -1 for none. Shape: (n, k).
        log_prior: of each. Shape: (n, k).
    """

    units: Tensor
    log_prior: Tensor


class Proposals:
    """Proposes changes.

    Args:
        parts: codebook, index and prior.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def replaced(self, text: Sequence[int], observed: Observation, k: int) -> list[Proposal]:
        """One unit in another's place, k candidates a position, the best first; known units stay.

        Args:
            text: n units, at least one.
            observed: one vector.
            k: candidates a position.
        """
        n, codebook, fixed = len(text), self.parts.codebook, _known(observed, len(text))
        asked, units = self._asked([list(text)], [(0, place) for place in range(n)], observed, k)
        own = torch.tensor(list(text), device=units.device)[:, None]
        prior = self._log_prior(asked.queries, torch.cat((own, units), dim=1))
        prior = prior[:, 1:] - prior[:, :1]
        total = codebook.superpose([text]).expand(n, -1)
        places = torch.arange(n, device=units.device)
        without = total - codebook.binding.bind(codebook.embed(own[:, 0]), places)
        evidence = self._likelihoods(without, places, units, observed) - self._likelihood(total[:1], observed)
        return _sorted(
            Proposal((*text[:place], unit, *text[place + 1 :]), prior + evidence, prior, place)
            for place, row in enumerate(_rows(units, prior, evidence))
            for unit, prior, evidence in row
            if unit not in (OPEN, text[place]) and place not in fixed
        )

    def shifted(self, text: Sequence[int], observed: Observation, k: int) -> list[Proposal]:
        """One unit put in, k candidates a place, or left out, the best first; none where some units are known."""
        if _known(observed, len(text)):
            return []
        return _sorted([*self._inserted(text, observed, k), *self._deleted(text, observed)])

    def substitutes(self, text: Sequence[int], observed: Observation, k: int) -> Substitutes:
        """Candidates of every position, given all other units. Shape: n positions."""
        asked, units = self._asked([list(text)], [(0, place) for place in range(len(text))], observed, k)
        for place in _known(observed, len(text)):
            units[place] = OPEN
        return Substitutes(units, self._log_prior(asked.queries, units))

    def _inserted(self, text: Sequence[int], observed: Observation, k: int) -> list[Proposal]:
        n, codebook = len(text), self.parts.codebook
        if n + 1 >= codebook.binding.positions:
            return []
        layouts = [[*text[:place], OPEN, *text[place:]] for place in range(n + 1)]
        asked, units = self._asked(layouts, [(place, place) for place in range(n + 1)], observed, k)
        places = torch.arange(n + 1, device=units.device)
        codes = codebook.embed(torch.tensor(layouts, device=units.device))
        codes[places, places] = 0.0
        total = codebook.binding.bind(codes, places.expand(n + 1, -1)).sum(dim=1) + codebook.eos_codes[n + 1]
        prior = self._log_prior(asked.queries, units)
        before = self._likelihood(codebook.superpose([text]), observed)
        evidence = self._likelihoods(total, places, units, observed) - before
        return [
            Proposal((*text[:place], unit, *text[place:]), prior + evidence, prior, OPEN)
            for place, row in enumerate(_rows(units, prior, evidence))
            for unit, prior, evidence in row
            if unit != OPEN
        ]

    def _deleted(self, text: Sequence[int], observed: Observation) -> list[Proposal]:
        n, codebook = len(text), self.parts.codebook
        if n < 2:
            return []
        asked, _ = self._asked([list(text)], [(0, place) for place in range(n)], observed, 1)
        own = torch.tensor(list(text), device=codebook.device)[:, None]
        shorter = [(*text[:place], *text[place + 1 :]) for place in range(n)]
        both = codebook.superpose([*shorter, tuple(text)])
        likelihood = self._likelihood(both, observed)
        evidence = (likelihood[:-1] - likelihood[-1]).tolist()
        prior = (-self._log_prior(asked.queries, own)[:, 0]).tolist()
        triples = zip(shorter, prior, evidence, strict=True)
        return [Proposal(own, prior + evidence, prior, OPEN) for own, prior, evidence in triples]

    def _asked(
        self, layouts: Sequence[Sequence[int]], pairs: Sequence[tuple[int, int]], observed: Observation, k: int
    ) -> tuple[Evidence, Tensor]:
        """Evidence at some (layout, position) pairs, ``OPEN`` for a unit to be found, and their k likeliest units."""
        device, codebook, longest = self.parts.codebook.device, self.parts.codebook, len(layouts[0])
        length = torch.full((len(layouts),), longest, device=device)
        belief = BeliefState.of_lengths(codebook, length)
        written = [
            (row, place, unit)
            for row, layout in enumerate(layouts)
            for place, unit in enumerate(layout)
            if unit != OPEN
        ]
        belief.commit(*torch.tensor(written, dtype=torch.int64, device=device).reshape(-1, 3).unbind(dim=1))
        rows = torch.arange(len(layouts), device=device)
        repeated = observed.repeated(len(layouts))
        estimate = estimate_noise(repeated, belief, rows, complete=torch.ones_like(rows, dtype=torch.bool))
        which, places = torch.tensor(pairs, device=device).unbind(dim=1)
        evidence = evidence_at(Positions(rows, which, places), longest, repeated, belief, estimate, self.parts.prior)
        index, prior = self.parts.index, Logits(evidence.queries, self.parts.prior.output, 1.0 / evidence.variance)
        search = index.scan if index.scans else index.search_exact
        return evidence, search(evidence.natural, k, prior).units

    def _log_prior(self, queries: Tensor, units: Tensor) -> Tensor:
        """Learned log prior of units, the constant of each query left out. Shape: (m, H), (m, k) to (m, k)."""
        return self.parts.prior.output.some_logits(queries, units.clamp_min(0))

    def _likelihoods(self, total: Tensor, places: Tensor, units: Tensor, observed: Observation) -> Tensor:
        """Log likelihood of sums with each of some units added at a place. Shape: (m, O), (m,), (m, k) to (m, k)."""
        codebook, order = self.parts.codebook, observed.order[0]
        codes = codebook.embed(units)
        given = codebook.binding.unbind(order.expand(len(places), -1), places)
        before = codebook.binding.unbind(total, places)
        product = (total @ order)[:, None] + torch.einsum("mko,mo->mk", codes, given)
        energy = total.square().sum(dim=1, keepdim=True) + codes.square().sum(dim=2)
        energy = energy + 2.0 * torch.einsum("mko,mo->mk", codes, before)
        return log_likelihood(product / energy.clamp_min(1e-12).sqrt(), codebook.width)

    def _likelihood(self, total: Tensor, observed: Observation) -> Tensor:
        """Log likelihood of some sums. Shape: (m, O) to (m,)."""
        cosine = (total @ observed.order[0]) / total.norm(dim=1).clamp_min(1e-12)
        return log_likelihood(cosine, self.parts.codebook.width)


def _known(observed: Observation, length: int) -> set[int]:
    """Positions of a text whose units are known beforehand."""
    if observed.known is None:
        return set()
    return set((observed.known[0, :length] != OPEN).nonzero()[:, 0].tolist())


def _rows(units: Tensor, prior: Tensor, evidence: Tensor) -> list[list[tuple[int, float, float]]]:
    """Three tables as one of triples. Shape: three (m, k)."""
    tables = zip(units.tolist(), prior.tolist(), evidence.tolist(), strict=True)
    return [[(int(unit), p, e) for unit, p, e in zip(*rows, strict=True)] for rows in tables]


def _sorted(proposals: Iterable[Proposal]) -> list[Proposal]:
    return sorted(proposals, key=lambda proposal: -proposal.gain)
