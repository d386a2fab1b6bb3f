"""Hill climbing by evidence: changes that make both parts of a vector likelier, by exact evidence and learned prior.

What one change of a unit is worth is told by three parts: the order part's evidence and the learned prior, which cost
nothing, and the semantic prefix's evidence, for which the changed text is embedded, where the first two are not far
below those of other changes. The language model is not asked: reading a text takes it as long as embedding dozens.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lexivert.controller.belief import OPEN
from lexivert.controller.proposals import Proposal, Proposals
from lexivert.controller.total_score import TotalScore

_LEAST_GAIN = 0.5  # nats that a change must be worth
_AT_ONCE = 8  # most changes that are made together
_IN_PAIRS = 24  # changes of which pairs are made
_SHIFTED = 16  # changes of length that are embedded at most


@dataclass(frozen=True)
class Change:
    """A changed text, and the positions whose units it replaces.

    Attributes:
        text: unit ids.
        worth: gain in the evidence of both parts and the learned prior.
        log_prior: the learned prior's part.
        units: what stands at the changed positions, by position; empty where a unit was put in or left out.
    """

    text: tuple[int, ...]
    worth: float
    log_prior: float
    units: dict[int, int]


class EvidenceClimb:
    """Climbs from texts of one vector.

    Args:
        proposals: changes of one unit.
        score: evidence of texts.
        embedded: changes of one unit that are embedded at most for each step.
    """

    def __init__(self, proposals: Proposals, score: TotalScore, embedded: int) -> None:
        self.proposals = proposals
        self.score = score
        self.embedded = embedded

    def climbed(self, text: tuple[int, ...], rounds: int, deadline: float) -> tuple[int, ...]:
        """The text after changes for the better, until there is none, or rounds or time are over."""
        for _ in range(rounds):
            better = self._best(text) if time.monotonic() < deadline else None
            if better is None:
                break
            text = better
        return text

    def near(self, text: tuple[int, ...], pairs: int, count: int) -> list[Change]:
        """Changes of one unit and of two, those worth most first.

        Args:
            text: to be changed.
            pairs: changes of two units that are embedded.
            count: changes of one unit, and half as many of two, that are given back.
        """
        replaced = self._weighed(text, self._proposals(text))
        single = _by_worth([*replaced, *self._shifted(text)])[:count]
        return _by_worth([*single, *_by_worth(self._pairs(text, replaced, pairs))[: count // 2]])

    def _best(self, text: tuple[int, ...]) -> tuple[int, ...] | None:
        """The text with the best change, or with several that help together; None if nothing helps.

        Units are put in or left out only where no unit in another's place helps.
        """
        replaced = self._weighed(text, self._proposals(text))
        if helping := [change for change in replaced if change.worth > _LEAST_GAIN]:
            return self._together(text, helping)
        shifted = self._shifted(text)
        return shifted[0].text if shifted and shifted[0].worth > _LEAST_GAIN else None

    def _together(self, text: tuple[int, ...], helping: Sequence[Change]) -> tuple[int, ...]:
        """The text with as many changes, those worth most first, as help together."""
        separate = _one_a_position(helping)[:_AT_ONCE]
        together = [joined(text, separate[:count]) for count in range(1, len(separate) + 1)]
        priors = itertools.accumulate(change.log_prior for change in separate)
        worth = [evidence + prior for evidence, prior in zip(self._evidence(together), priors, strict=True)]
        return together[worth.index(max(worth))]

    def _proposals(self, text: tuple[int, ...]) -> list[Proposal]:
        """Changes of one unit that are worth embedding: half of them the likeliest, half the likeliest everywhere.

        Where the prefix speaks loudest, a unit that is unlikely but for it may be the right one.
        """
        found = self.proposals.replaced(text, self.score.observed, self._candidates)
        found = [own for own in found if own.gain > -self.score.params.margin]
        likeliest = found[: self.embedded // 2]
        ranks: Counter[int] = Counter()
        ranked = []
        for own in found:
            ranked.append((ranks[own.position], -own.gain, own))
            ranks[own.position] += 1
        everywhere = [own for _, _, own in sorted(ranked, key=lambda part: part[:2])]
        chosen = {own.text: own for own in (*likeliest, *everywhere)}
        return list(chosen.values())[: self.embedded]

    def _shifted(self, text: tuple[int, ...]) -> list[Change]:
        """Units put in or left out, those worth most first."""
        found = self.proposals.shifted(text, self.score.observed, max(self._candidates // 4, 1))
        return self._weighed(text, [own for own in found if own.gain > -self.score.params.margin][:_SHIFTED])

    @property
    def _candidates(self) -> int:
        return self.score.params.candidates

    def _weighed(self, text: tuple[int, ...], proposals: Sequence[Proposal]) -> list[Change]:
        """Proposals with the evidence of the prefix."""
        evidence = self.score.prefix_evidence([text, *(own.text for own in proposals)])
        gains = (evidence[1:] - evidence[0]).tolist()
        return _by_worth(
            Change(own.text, own.gain + gain, own.log_prior, _units(own))
            for own, gain in zip(proposals, gains, strict=True)
        )

    def _pairs(self, text: tuple[int, ...], replaced: Sequence[Change], count: int) -> list[Change]:
        """Two changes together: half of them the best of all, half at neighbouring positions, for words in a row."""
        best = [change for change in replaced if change.units][:_IN_PAIRS]
        pairs = [pair for pair in itertools.combinations(best, 2) if not pair[0].units.keys() & pair[1].units.keys()]
        pairs.sort(key=lambda pair: -(pair[0].worth + pair[1].worth))
        beside = [pair for pair in pairs if abs(min(pair[0].units) - min(pair[1].units)) == 1]
        chosen = {joined(text, pair): pair for pair in (*pairs[: count // 2], *beside[: count // 2])}
        before, *evidence = self._evidence([text, *chosen])
        changes = []
        for (own, (a, b)), gain in zip(chosen.items(), evidence, strict=True):
            prior = a.log_prior + b.log_prior
            changes.append(Change(own, gain - before + prior, prior, {**a.units, **b.units}))
        return changes

    def _evidence(self, texts: Sequence[tuple[int, ...]]) -> list[float]:
        """Of both parts."""
        found: list[float] = (self.score.order_evidence(texts) + self.score.prefix_evidence(texts)).tolist()
        return found


def joined(text: tuple[int, ...], changes: Sequence[Change]) -> tuple[int, ...]:
    """A text with several changes, the first of several at a position; a text of another length stands alone."""
    new = list(text)
    for change in reversed(changes):
        for position, unit in change.units.items():
            new[position] = unit
    return tuple(new)


def _units(proposal: Proposal) -> dict[int, int]:
    return {} if proposal.position == OPEN else {proposal.position: proposal.text[proposal.position]}


def _one_a_position(changes: Sequence[Change]) -> list[Change]:
    """The first change of each position."""
    first: dict[int, Change] = {}
    for change in changes:
        first.setdefault(min(change.units), change)
    return list(first.values())


def _by_worth(changes: Iterable[Change]) -> list[Change]:
    return sorted(changes, key=lambda change: -change.worth)
