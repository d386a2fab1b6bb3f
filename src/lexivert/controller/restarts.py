"""Restarts: message passing again for one vector, over other lengths and with other damping and variance scale.

A noise-free vector whose text has been found leaves no residual, so a failure is known to be one: likely lengths are
guessed, and message passing restarted for each, until one text is verified.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from torch import Tensor

from lexivert.config import CascadeParams, RestartParams
from lexivert.controller.amp import AmpDecoder
from lexivert.controller.base import Parts
from lexivert.controller.candidate_lists import CandidateLists
from lexivert.controller.observation import Observation
from lexivert.controller.posterior import IndexPosterior
from lexivert.controller.results import DecodeResult
from lexivert.text.lexicon import NEVER


class Restarts:
    """Which lengths are worth a restart, and the restarts.

    Args:
        parts: codebook, index, prior, params.
        amp: judges long lengths.
    """

    def __init__(self, parts: Parts, amp: AmpDecoder) -> None:
        self.parts = parts
        self.amp = amp
        self.params: CascadeParams = parts.params.cascade

    def unsure(self, found: DecodeResult) -> dict[int, list[int]]:
        """Likely lengths of texts that are neither verified nor of such a length with all units sure, by row."""
        assert found.length_evidence is not None
        unsure = {}
        for row, (units, scores) in enumerate(zip(found.units, found.scores, strict=True)):
            if not found.verified[row]:
                likely = self._likely_lengths(found.length_evidence[row])
                if len(units) not in likely or min(scores, default=0.0) < self.params.sure:
                    unsure[row] = likely
        return unsure

    def run(
        self, observed: Observation, likely: Sequence[int], length: int, fit: float
    ) -> Iterator[tuple[int, DecodeResult]]:
        """Restart one vector, a few lengths at a time; whoever reads ends it as soon as a text is verified.

        Args:
            observed: the vector.
            likely: its likely lengths, the likeliest first.
            length: units of the text that was found.
            fit: of that text.

        Yields:
            How many texts, and the texts.
        """
        lengths = self._worth_restarting(observed, likely, detected=self._detected(length, fit))
        for first in range(0, len(lengths), self.params.batch):
            some = lengths[first : first + self.params.batch]
            pairs = [(own, rule) for own in some for rule in self.params.restarts]
            yield len(pairs), self.restart(observed, pairs)

    def restart(self, observed: Observation, pairs: Sequence[tuple[int, RestartParams]]) -> DecodeResult:
        """Decode one vector once for each (length, rule) pair, over shared lists; the first verified text ends all.

        Raises:
            ValueError: there is no pair, or one of fewer units than are known.
        """
        known = 0 if observed.known is None else int((observed.known >= 0).sum())
        lengths = [length for length, _ in pairs]
        if not pairs or min(lengths) < known:
            raise ValueError(f"restarts must be given, of at least the {known} units that are known")
        index, prior, params = self.parts.index, self.parts.prior, self.parts.params.amp
        lists = CandidateLists(IndexPosterior(index, prior, params.candidates), max(1, *lengths))
        amp = AmpDecoder(index, self.parts.codebook, prior, params, lists)
        rules = [rule for _, rule in pairs]
        return amp.run(observed.repeated(len(pairs)), lengths=lengths, restarts=rules, until_first_verified=True)

    def _detected(self, length: int, fit: float) -> bool:
        """Tell whether what was found is there indeed, so that what is missing is hidden by noise.

        Where message passing fails without noise, it ends in codes that stand out of the vector no further than the
        best of all V wrong ones, by ``2 ln V`` squared deviations: the detection threshold.
        """
        codebook = self.parts.codebook
        return fit * fit * codebook.width >= (length + 1) * 2.0 * math.log(len(codebook))

    def _likely_lengths(self, evidence: Tensor) -> list[int]:
        """Lengths that a text may well have, the likeliest first. Shape: (N,)."""
        values, lengths = evidence.topk(min(self.params.lengths, len(evidence)))
        likely = (values >= values[0] - self.params.margin) & (values > NEVER / 2)
        found: list[int] = lengths[likely].tolist()
        return found

    def _worth_restarting(self, observed: Observation, likely: Sequence[int], *, detected: bool) -> list[int]:
        """Those of the likely lengths that are worth a restart, within ``max_positions``; the first in any case.

        The vector must be overloaded at such a length. Long ones are restarted if units at their later half speak for
        a text without noise rather than for plain noise. In a short one a few rare units may speak against it as much
        as noise does, and a restart costs little; such are restarted unless what was found was detected indeed.
        """
        width = self.parts.codebook.width
        overloaded = [n for n in likely if (n + 1) * self.params.overloaded_below > width]
        long = [n for n in overloaded if n >= self.params.long_from]
        support = dict(zip(long, self.amp.later_half_evidence(observed, long).tolist(), strict=True))
        lengths: list[int] = []
        for n in overloaded:
            worth = support[n] > 0.0 if n in support else not detected
            if worth and (not lengths or sum(lengths) + n <= self.params.max_positions):
                lengths.append(n)
        return lengths
