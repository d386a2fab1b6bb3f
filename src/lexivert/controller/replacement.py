"""Replacement: a text that was read, without what is banned; other units stand where it stood, all else stays.

A vector is read as if nothing were banned, so that what is around is right. Then each position that writes something
banned is asked again, with all other units subtracted: the unit of most posterior probability that is allowed there
takes the place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.base import Parts
from lexivert.controller.belief import OPEN, BeliefState
from lexivert.controller.evidence import Evidence, Positions, evidence_at
from lexivert.controller.noise import estimate_noise
from lexivert.controller.observation import Observation
from lexivert.controller.results import DecodeResult, Step
from lexivert.controller.verification import fit, verified
from lexivert.search.output_layer import OutputLayer
from lexivert.search.rough_scores import Logits
from lexivert.search.unit_index import Hits
from lexivert.text.banned import Banned, Occurrence
from lexivert.text.detokenizer import Stretch
from lexivert.text.lexicon import NEVER

_WORD, _MARK, _BYTE, _NOTHING = "word", "mark", "byte", "nothing"
_SORT_OF = {"punctuation": _MARK, "byte": _BYTE, "control": _NOTHING, "piece": _NOTHING}
"""Sorts of units that are no words, by kind."""
_CANDIDATES = 256
"""Allowed units, the likeliest first, that are tried at a position."""


@dataclass(frozen=True)
class _Choice:
    """A unit that may stand at a position, or -1 if the position is left out.

    Attributes:
        position: in the text that was read.
        unit: what may stand there.
        probability: of it against the unit that does.
    """

    position: int
    unit: int
    probability: float


@dataclass(frozen=True)
class _Spelling:
    """How a text is written that may have left out positions, which count all the same.

    Attributes:
        stretches: of its units.
        occurrences: of what is banned.
    """

    stretches: list[Stretch]
    occurrences: list[Occurrence]

    @classmethod
    def of(cls, units: Sequence[int], banned: Banned) -> _Spelling:
        """Write a text and look for what is banned, -1 for what is left out."""
        kept = [position for position, unit in enumerate(units) if unit != OPEN]
        stretches = banned.stretches([units[position] for position in kept])
        in_place = [own._replace(positions=tuple(kept[place] for place in own.positions)) for own in stretches]
        return cls(in_place, banned.find_in(in_place))

    def allows(self, after: _Spelling, position: int) -> bool:
        """Whether a change at a position brings nothing banned, and leaves all around it as it is written."""
        if len(after.occurrences) >= len(self.occurrences):
            return False
        if any(position in own.positions for own in after.occurrences):
            return False
        return _alike_around(self.stretches, after.stretches, position)


class Replacement:
    """Puts allowed units in the place of what is banned.

    Args:
        parts: codebook, index and prior.
        banned: words and phrases.
    """

    def __init__(self, parts: Parts, banned: Banned) -> None:
        self.parts = parts
        self.banned = banned
        self._kinds = banned.lexicon.kinds
        self._layers: dict[str, OutputLayer] = {}

    @torch.inference_mode()
    def __call__(self, found: DecodeResult, observed: Observation) -> DecodeResult:
        """Texts without what is banned; the confidence in one is that in what was read, times its replacements'.

        Args:
            found: B texts; those that contain nothing banned stay as they are.
            observed: their vectors.
        """
        changed = [row for row, units in enumerate(found.units) if self.banned.find(units)]
        units, scores, steps = list(found.units), list(found.scores), list(found.steps)
        probability = found.fit.new_ones(len(found))
        for row in changed:
            one = observed[slice(row, row + 1)]
            chosen = list(self._choices(list(units[row]), one))
            if steps[row]:
                steps[row] = [*steps[row], *self._steps(units[row], chosen, one)]
            units[row], scores[row] = _applied(units[row], scores[row], chosen)
            probability[row] = math.prod(choice.probability for choice in chosen)
        fits, certain = found.fit.clone(), found.verified.clone()
        if changed:
            codebook, texts = self.parts.codebook, [units[row] for row in changed]
            total = codebook.superpose(texts)
            fits[changed] = fit(observed.order[changed], total)
            counts = torch.tensor([len(text) for text in texts], device=fits.device)
            certain[changed] = verified(fits[changed], counts, codebook.min_distance)
        confidence = None if found.confidence is None else found.confidence * probability.cpu()
        return replace(
            found, units=units, scores=scores, steps=steps, fit=fits, verified=certain, confidence=confidence
        )

    def _choices(self, units: list[int], observed: Observation) -> Iterator[_Choice]:
        """Replace one unit after the other in ``units``, until nothing banned is left."""
        known = set() if observed.known is None else set((observed.known[0] != OPEN).nonzero()[:, 0].tolist())
        while (before := _Spelling.of(units, self.banned)).occurrences:
            free = [position for position in before.occurrences[0].positions if position not in known]
            if not free:
                return  # what is known beforehand stays
            choice = self._best(units, before, free, observed) or _Choice(free[-1], OPEN, 0.0)
            units[choice.position] = choice.unit
            yield choice

    def _best(
        self, units: list[int], before: _Spelling, positions: Sequence[int], observed: Observation
    ) -> _Choice | None:
        """The likeliest allowed unit at any of the positions, or None if none is found."""
        evidence = self._evidence(units, positions, observed)
        choices: list[_Choice] = []
        for place, position in enumerate(positions):
            rows = slice(place, place + 1)
            precision = 1.0 / evidence.variance[rows]
            hits = self._allowed(
                evidence.natural[rows], evidence.queries[rows], precision, self._sort(units[position])
            )
            current = torch.tensor([[units[position]]], device=hits.units.device)
            own = (self.parts.codebook.embed(current)[:, 0] * evidence.natural[rows]).sum()
            own -= self.parts.codebook.energies[units[position]] * precision[0] / 2.0
            own += self.parts.prior.output.some_logits(evidence.queries[rows], current)[0, 0]
            odds = torch.sigmoid(hits.scores[0] - own).tolist()
            pairs = zip(hits.units[0].tolist(), odds, hits.scores[0].tolist(), strict=True)
            choices += [_Choice(position, unit, chance) for unit, chance, score in pairs if score > NEVER / 2]
        fits = (choice for choice in sorted(choices, key=lambda choice: -choice.probability))
        return next((choice for choice in fits if before.allows(self._changed(units, choice), choice.position)), None)

    def _evidence(self, units: Sequence[int], positions: Sequence[int], observed: Observation) -> Evidence:
        """What is known of each position once all other units are subtracted. Shape: m positions."""
        device, count = self.parts.codebook.device, len(positions)
        belief = BeliefState.of_lengths(self.parts.codebook, torch.full((count,), len(units), device=device))
        others = [
            (row, place, unit)
            for row, position in enumerate(positions)
            for place, unit in enumerate(units)
            if place != position and unit != OPEN
        ]
        belief.commit(*torch.tensor(others, dtype=torch.int64, device=device).reshape(-1, 3).unbind(dim=1))
        rows = torch.arange(count, device=device)
        repeated = observed.repeated(count)
        estimate = estimate_noise(repeated, belief, rows)
        asked = Positions(rows, rows, torch.tensor(positions, device=device))
        return evidence_at(asked, len(units), repeated, belief, estimate, self.parts.prior)

    def _allowed(self, natural: Tensor, queries: Tensor, precision: Tensor, sort: str) -> Hits:
        """The likeliest units of one sort that may stand for what is banned. Shape: (1, O), (1, H) and (1,)."""
        if sort not in self._layers:
            resembling = set(self.banned.resembling)
            others = [u for u, kind in enumerate(self._kinds) if _SORT_OF.get(kind, _WORD) != sort or u in resembling]
            self._layers[sort] = self.parts.prior.output.without(others)
        index = self.parts.index
        search = index.scan if index.scans else index.search_exact
        return search(natural, _CANDIDATES, Logits(queries, self._layers[sort], precision))

    def _sort(self, unit: int) -> str:
        """What may take a unit's place: bytes that of a byte, marks that of a mark, words that of all others."""
        sort = _SORT_OF.get(self._kinds[unit], _WORD)
        return _WORD if sort == _NOTHING else sort

    def _changed(self, units: list[int], choice: _Choice) -> _Spelling:
        return _Spelling.of([*units[: choice.position], choice.unit, *units[choice.position + 1 :]], self.banned)

    def _steps(self, units: Sequence[int], chosen: Sequence[_Choice], observed: Observation) -> Iterator[Step]:
        codebook, buffer = self.parts.codebook, list(units)
        for choice in chosen:
            buffer[choice.position] = choice.unit
            total = _sum_of_placed(buffer, codebook)
            cosine = fit(observed.order, total).clamp(-1.0, 1.0)
            residual = float(torch.sqrt(1.0 - cosine.square()))
            yield Step(max(choice.unit, 0), choice.position, choice.probability, residual, tuple(buffer))


def _sum_of_placed(buffer: Sequence[int], codebook: Codebook) -> Tensor:
    """Sum of bound codes of the units that stand in a buffer, and EOS behind it. Shape: (1, O)."""
    units = torch.tensor(list(buffer), dtype=torch.int64, device=codebook.device)
    codes = codebook.embed(units) * (units != OPEN)[:, None]
    bound: Tensor = codebook.binding.bind(codes, torch.arange(len(units), device=units.device))
    return bound.sum(dim=0, keepdim=True) + codebook.eos_codes[len(buffer)]


def _applied(
    units: Sequence[int], scores: Sequence[float], chosen: Sequence[_Choice]
) -> tuple[list[int], list[float]]:
    """A text and its scores with the choices made."""
    new, own = list(units), list(scores)
    for choice in chosen:
        new[choice.position], own[choice.position] = choice.unit, choice.probability
    pairs = [(unit, score) for unit, score in zip(new, own, strict=True) if unit != OPEN]
    return [unit for unit, _ in pairs], [score for _, score in pairs]


def _alike_around(before: list[Stretch], after: list[Stretch], position: int) -> bool:
    """Whether all stretches but one's own are written and spaced alike, and that one is text and no nearer."""
    if len(before) != len(after):
        return False
    for old, new in zip(before, after, strict=True):
        if position not in old.positions:
            if (old.text, old.spaced) != (new.text, new.spaced):
                return False
        elif (old.spaced and not new.spaced) or not new.text.isprintable() or "\ufffd" in new.text:
            return False
    return True
