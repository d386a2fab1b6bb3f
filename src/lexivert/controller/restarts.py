"""Restarts: message passing again for one vector, over other lengths and with other damping and variance scale.

A noise-free vector whose text has been found leaves no residual, so a failure is known to be one: likely lengths are
guessed, and message passing restarted for each, until one text is verified.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from lexivert.config import CascadeParams, RestartParams
from lexivert.controller.amp import AmpDecoder
from lexivert.controller.base import Parts
from lexivert.controller.candidate_lists import CandidateLists
from lexivert.controller.energy_split import EnergySplit
from lexivert.controller.evidence import Evidence
from lexivert.controller.observation import Observation
from lexivert.controller.posterior import IndexPosterior
from lexivert.controller.results import DecodeResult
from lexivert.controller.verification import lowest_eos_score
from lexivert.priors.base import Belief
from lexivert.text.lexicon import NEVER


class Restarts:
    """Which lengths are worth a restart, and the restarts.

    Args:
        parts: codebook, index, prior, params.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.params: CascadeParams = parts.params.cascade
        self.source = IndexPosterior(parts.index, parts.prior, parts.params.amp.candidates)
        log_prior = parts.codebook.log_prior
        self.mean_surprisal = float(-(log_prior.exp() * log_prior).sum())

    def unsure(self, found: DecodeResult, observed: Observation) -> dict[int, list[int]]:
        """Likely lengths of texts that may be restarted, by row.

        These are neither verified, nor of such a length with all units sure. Nor do they leave what is noise anyway,
        or show noise of which no text can be verified; nor has anything been taken off, as in a difference of texts.
        """
        assert found.length_evidence is not None
        split = EnergySplit.of(observed, self.parts.codebook.semantic_share)
        noisy = split.cosine < self.params.noise_free_cosine
        taken_off = lowest_eos_score(observed.order, self.parts.codebook.eos_codes) < -self.params.eos_deviations
        done = (found.verified | (split.explains(found.fit) == 1.0) | noisy | taken_off).tolist()
        unsure = {}
        for row, (units, scores) in enumerate(zip(found.units, found.scores, strict=True)):
            if not done[row]:
                likely = self._likely_lengths(found.length_evidence[row])
                if len(units) not in likely or min(scores, default=0.0) < self.params.sure:
                    unsure[row] = likely
        return unsure

    def run(
        self, observed: Observation, likely: Sequence[int], units: Sequence[int], fit: float
    ) -> Iterator[tuple[int, DecodeResult]]:
        """Restart one vector, a few times at once; whoever reads ends it as soon as a text is verified.

        Args:
            observed: the vector.
            likely: its likely lengths, the likeliest first.
            units: of the text that was found.
            fit: of that text.

        Yields:
            How many texts, and the texts.
        """
        lengths = self._worth_restarting(observed, self._overloaded(likely, units), len(units), fit)
        pairs = [(own, rule) for own in lengths for rule in self.params.restarts]
        for first in range(0, len(pairs), self.params.batch):
            some = pairs[first : first + self.params.batch]
            yield len(some), self.restart(observed, some)

    def restart(self, observed: Observation, pairs: Sequence[tuple[int, RestartParams]]) -> DecodeResult:
        """Decode one vector once for each (length, rule) pair, over shared lists; the first verified text ends all.

        Raises:
            ValueError: there is no pair, or one of fewer units than are known.
        """
        known = 0 if observed.known is None else int((observed.known >= 0).sum())
        lengths = [length for length, _ in pairs]
        if not pairs or min(lengths) < known:
            raise ValueError(f"restarts must be given, of at least the {known} units that are known")
        parts = self.parts
        lists = CandidateLists(self.source, max(1, *lengths))
        amp = AmpDecoder(parts.index, parts.codebook, parts.prior, parts.params.amp, lists)
        rules = [rule for _, rule in pairs]
        return amp.run(observed.repeated(len(pairs)), lengths=lengths, restarts=rules, until_first_verified=True)

    @torch.inference_mode()
    def later_half_evidence(self, observed: Observation, lengths: Sequence[int]) -> Tensor:
        """Log likelihood ratio of texts of some lengths, without noise, against plain noise: what units say of it.

        Every position is unbound once. In a text, that gives a code in noise, elsewhere noise alone; both times of
        variance ``(n + g) / O`` a dimension, n and g being the means of the lengths and of EOS's energies there. A
        length is judged by its later half, where a text of half as many units has nothing, and the prior is that of
        the longest. What EOS says is not in it, see ``lengths.length_evidence``.

        Args:
            observed: one vector.
            lengths: units, each at least 1.

        Shape: (lengths,).
        """
        if not lengths:
            return observed.order.new_zeros(0)
        codebook, start, longest = self.parts.codebook, min(lengths) // 2, max(lengths)
        positions = torch.arange(start, longest, device=codebook.device)
        count = sum(lengths) / len(lengths) + float(codebook.eos_energies[list(lengths)].mean())
        variance = count / codebook.width
        scaled = observed.order[0] * count**0.5
        effective = codebook.binding.unbind(scaled.expand(len(positions), -1), positions)
        length = torch.tensor([longest], device=positions.device)
        queries = self.parts.prior.queries(Belief.empty(longest, length, observed.prefix))[0, positions]
        asked = Evidence(effective / variance, queries, torch.full_like(effective[:, 0], variance))
        evidence = self.source.posterior(asked, 1).log_evidence
        return torch.stack([evidence[n // 2 - start : n - start].mean() * n for n in lengths])

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

    def _overloaded(self, lengths: Sequence[int], units: Sequence[int]) -> list[int]:
        """Lengths at which a noise-free text may fail to be read: its surprise is more than message passing can take.

        Args:
            lengths: some lengths.
            units: found in the vector, whose mean surprisal its text may have, if it is above that of all texts.
        """
        log_prior = self.parts.codebook.log_prior
        found = float(-log_prior[list(units)].mean()) if units else 0.0
        surprisal = max(found, self.mean_surprisal)
        width = self.parts.codebook.width
        return [n for n in lengths if (n + 1) * surprisal * self.params.overloaded_below > width]

    def _worth_restarting(self, observed: Observation, overloaded: list[int], length: int, fit: float) -> list[int]:
        """Those of some lengths that are worth a restart, within ``max_positions``; the first in any case.

        Where the vector tells that noise does not explain what the text found leaves of it, all are, unless that text
        was detected indeed: then the vector is a sum or difference of texts. Where it doesn't tell, long ones are
        restarted if units at their later half speak for a text without noise rather than for plain noise. In a short
        one a few rare units may speak against it as much as noise does, and a restart costs little; such are
        restarted unless what was found was detected.
        """
        split = EnergySplit.of(observed, self.parts.codebook.semantic_share)
        told = bool(split.explains(observed.order.new_tensor([fit])) == 0.0)
        long = [n for n in overloaded if n >= self.params.long_from and not told]
        support = dict(zip(long, self.later_half_evidence(observed, long).tolist(), strict=True))
        detected = self._detected(length, fit)
        lengths: list[int] = []
        for n in overloaded:
            worth = support[n] > 0.0 if n in support else not detected
            if worth and (not lengths or sum(lengths) + n <= self.params.max_positions):
                lengths.append(n)
        return lengths
