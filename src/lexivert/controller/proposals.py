"""Proposals: texts that differ from a complete one by one unit put in another's place, put in, or left out.

The candidates of a place are the units of most posterior probability there, all other units subtracted from the
vector: exact evidence times the learned prior. How much likelier each makes the order part is exact, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.codes.superposition import superpose
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
        gain: of order evidence and learned log prior over the text that was changed.
        position: whose unit was replaced, or -1 where a unit was put in or left out.
    """

    text: tuple[int, ...]
    gain: float
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

    def changes(self, text: Sequence[int], observed: Observation, k: int) -> list[Proposal]:
        """All changes of one unit, k candidates a place, the best first.

        Args:
            text: n units, at least one.
            observed: one vector; what is known of its text stays.
            k: candidates a place; a quarter of them where a unit is put in.
        """
        fixed = _known(observed, len(text))
        replaced = self._replaced(text, observed, k, fixed)
        shifted = [] if fixed else [*self._inserted(text, observed, max(k // 4, 1)), *self._deleted(text, observed)]
        return sorted((*replaced, *shifted), key=lambda proposal: -proposal.gain)

    def substitutes(self, text: Sequence[int], observed: Observation, k: int) -> Substitutes:
        """Candidates of every position, given all other units. Shape: n positions."""
        asked, units = self._asked([list(text)], [(0, place) for place in range(len(text))], observed, k)
        return Substitutes(units, self._log_prior(asked.queries, units))

    def _replaced(self, text: Sequence[int], observed: Observation, k: int, fixed: set[int]) -> list[Proposal]:
        n, codebook = len(text), self.parts.codebook
        asked, units = self._asked([list(text)], [(0, place) for place in range(n)], observed, k)
        own = torch.tensor(list(text), device=units.device)[:, None]
        prior = self._log_prior(asked.queries, torch.cat((own, units), dim=1))
        gains = prior[:, 1:] - prior[:, :1]
        total = superpose([text], codebook.codes, codebook.binding).expand(n, -1)
        places = torch.arange(n, device=units.device)
        without = total - codebook.binding.bind(codebook.embed(own[:, 0]), places)
        gains = gains + self._likelihoods(without, places, units, observed)
        gains = gains - self._likelihood(total[:1], observed)
        found = []
        for place, (row, values) in enumerate(zip(units.tolist(), gains.tolist(), strict=True)):
            for unit, gain in zip(row, values, strict=True):
                if unit not in (OPEN, text[place]) and place not in fixed:
                    found.append(Proposal((*text[:place], unit, *text[place + 1 :]), gain, place))
        return found

    def _inserted(self, text: Sequence[int], observed: Observation, k: int) -> list[Proposal]:
        n, codebook = len(text), self.parts.codebook
        if n + 1 >= codebook.binding.positions:
            return []
        layouts = [[*text[:place], OPEN, *text[place:]] for place in range(n + 1)]
        asked, units = self._asked(layouts, [(place, place) for place in range(n + 1)], observed, k)
        places = torch.arange(n + 1, device=units.device)
        codes = codebook.embed(torch.tensor([[max(unit, 0) for unit in layout] for layout in layouts]))
        codes[places, places] = 0.0
        total = codebook.binding.bind(codes, places.expand(n + 1, -1)).sum(dim=1) + codebook.eos_codes[n + 1]
        gains = self._log_prior(asked.queries, units) + self._likelihoods(total, places, units, observed)
        gains = gains - self._likelihood(superpose([text], codebook.codes, codebook.binding), observed)
        return [
            Proposal((*text[:place], unit, *text[place:]), gain, OPEN)
            for place, (row, values) in enumerate(zip(units.tolist(), gains.tolist(), strict=True))
            for unit, gain in zip(row, values, strict=True)
            if unit != OPEN
        ]

    def _deleted(self, text: Sequence[int], observed: Observation) -> list[Proposal]:
        n, codebook = len(text), self.parts.codebook
        if n < 2:
            return []
        asked, _ = self._asked([list(text)], [(0, place) for place in range(n)], observed, 1)
        own = torch.tensor(list(text), device=codebook.device)[:, None]
        shorter = [(*text[:place], *text[place + 1 :]) for place in range(n)]
        both = superpose([*shorter, tuple(text)], codebook.codes, codebook.binding)
        likelihood = self._likelihood(both, observed)
        gains = likelihood[:-1] - likelihood[-1] - self._log_prior(asked.queries, own)[:, 0]
        return [Proposal(own, gain, OPEN) for own, gain in zip(shorter, gains.tolist(), strict=True)]

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
