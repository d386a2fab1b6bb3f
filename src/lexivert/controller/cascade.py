"""The controller as a whole: incremental where dimensions abound, else message passing, then proof by retry.

Vectors with many dimensions a unit are read by committing the surest units first, which is quick and, measured, best
in noise. Where dimensions are scarce, message passing over all positions at once reads more. A noise-free vector
whose text has been found leaves no residual, so a failure is known to be one: other lengths are guessed, and other
ways of passing messages tried, until one is verified to leave nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lexivert.codes.codebook import Codebook
from lexivert.codes.superposition import superpose
from lexivert.controller.amp import AmpDecoder, AmpParams
from lexivert.controller.belief import Buffer
from lexivert.controller.confidence import Calibration, text_features
from lexivert.controller.easy_first import EasyFirst
from lexivert.controller.noise import length_evidence, second_eos_score
from lexivert.controller.posterior import Proposer
from lexivert.controller.results import Decoded, Found, Settled
from lexivert.controller.trace import Step, TraceRecorder
from lexivert.priors.base import Prior
from lexivert.search.faiss_index import UnitIndex
from lexivert.text.lexicon import NEVER


@dataclass(frozen=True)
class CascadeParams:
    """When more is tried.

    Attributes:
        clear: order dimensions a unit, from which on the incremental pass is worth while.
        tight: order dimensions a unit, from which on down a vector without noise may fail, so that trying again
            helps.
        sure: a text of a likely length all of whose units are at least as probable is not decoded again.
        lengths: most lengths that count as likely.
        margin: nats by which a likely length may fall short of the likeliest.
        long: units, 1 or more, from which on a length is tried only if ``AmpDecoder.support`` is positive: a try
            takes a second and more.
        positions: most positions that are tried for one text, of all lengths together.
        at_once: of the lengths to try, so many are tried together; then the next.
        retries: ways to pass messages for each of these lengths, all tried together; with none nothing is.
    """

    clear: float = 24.0
    tight: float = 16.0
    sure: float = 0.9
    lengths: int = 8
    margin: float = 12.0
    long: int = 64
    positions: int = 400
    at_once: int = 4
    retries: tuple[AmpParams, ...] = (AmpParams(damping=0.1), AmpParams(caution=0.8, damping=0.0))


class _Best:
    """The likeliest text found so far for each of B vectors."""

    def __init__(self, target: Tensor, log_prior: Tensor) -> None:
        batch = len(target)
        self.units: list[list[int]] = [[] for _ in range(batch)]
        self.scores: list[list[float]] = [[] for _ in range(batch)]
        self.fit = torch.zeros(batch)
        self.proven = torch.zeros(batch, dtype=torch.bool)
        self.likelihood = torch.full((batch,), -torch.inf)
        self._log_prior = log_prior
        self._width = target.shape[1]

    def offer(self, rows: Tensor, found: Found) -> None:
        """Take over texts that are likelier than what is known of their vectors; what is proven stays.

        The log likelihood is that of Gaussian noise of unknown strength, with the unigram prior.

        Args:
            rows: vectors that the texts were found for; may repeat. Shape: (R,).
            found: R texts.
        """
        unexplained = (1.0 - found.fit.square()).clamp_min(1e-6)
        prior = torch.tensor([float(self._log_prior[text].sum()) for text in found.units])
        likelihood = prior - 0.5 * self._width * unexplained.log()
        for place, row in enumerate(rows.tolist()):
            if not self.proven[row] and likelihood[place] > self.likelihood[row]:
                self.units[row], self.scores[row] = found.units[place], found.scores[place]
                self.fit[row], self.proven[row] = found.fit[place], found.proven[place]
                self.likelihood[row] = likelihood[place]


class Cascade:
    """Reads vectors back.

    Args:
        proposer: prior and index.
        calibration: of the confidences.
        rules: when more is tried.
    """

    def __init__(
        self, proposer: Proposer, calibration: Calibration | None = None, rules: CascadeParams | None = None
    ) -> None:
        self.proposer = proposer
        self.codebook = proposer.codebook
        self.calibration = calibration or Calibration.none()
        self.rules = rules or CascadeParams()
        self.incremental = EasyFirst(proposer)
        self.passing = AmpDecoder(proposer.index, proposer.codebook, proposer.prior)

    def changed(
        self,
        *,
        prior: Prior | None = None,
        index: UnitIndex | None = None,
        codebook: Codebook | None = None,
    ) -> Cascade:
        """The same decoder with some parts replaced."""
        known = self.proposer
        proposer = Proposer(
            known.prior if prior is None else prior,
            known.index if index is None else index,
            known.codebook if codebook is None else codebook,
            known.candidates,
        )
        return Cascade(proposer, self.calibration, self.rules)

    def without(self, units: Sequence[int]) -> Cascade:
        """The same decoder for texts that hold none of some units."""
        return self.changed(prior=self.proposer.prior.without(units))

    @torch.inference_mode()
    def decode(self, order: Tensor, semantic: Tensor, *, trace: bool = False, fixed: Tensor | None = None) -> Decoded:
        """Read texts back.

        Args:
            order: order parts, any positive length. Shape: (B, O).
            semantic: semantic prefixes, zero where there is none. Shape: (B, S).
            trace: record the rebuild.
            fixed: units known beforehand, -1 elsewhere. Shape: (B, P).
        """
        target, semantic = F.normalize(order, dim=-1), F.normalize(semantic, dim=-1)
        best = _Best(target, self.codebook.log_prior)
        steps: list[list[Step]] = [[] for _ in target]
        clear = self._clear(target) if fixed is None else torch.zeros(len(target), dtype=torch.bool)
        rows = clear.nonzero()[:, 0]
        if len(rows):
            quick = self.incremental.decode(target[rows], semantic[rows], trace=trace)
            best.offer(rows, quick)
            for row, taken in zip(rows.tolist(), quick.steps, strict=True):
                steps[row] = taken
        rows = (~clear).nonzero()[:, 0]
        if len(rows):
            self._settle(best, rows, target, semantic, fixed)
            if trace:
                for row in rows.tolist():
                    steps[row] = self._replay(target[row : row + 1], best.units[row], best.scores[row])
        features = text_features(best.scores, best.fit, self._stray(best, target), target.shape[1])
        confidence, scores = self.calibration(features, best.scores, best.proven)
        return Decoded(best.units, scores, best.fit, best.proven, steps, confidence, features)

    def decode_all(self, order: Tensor, semantic: Tensor, batch: int, label: str) -> Decoded:
        """Read any number of texts back in batches, with a progress bar; arguments and shapes as of ``decode``."""
        parts = []
        with tqdm(total=len(order), desc=label, unit="text", mininterval=1.0) as bar:
            for start in range(0, max(len(order), 1), batch):
                rows = slice(start, start + batch)
                parts.append(self.decode(order[rows], semantic[rows]))
                bar.update(len(order[rows]))
        return Decoded(
            [text for part in parts for text in part.units],
            [scores for part in parts for scores in part.scores],
            torch.cat([part.fit for part in parts]),
            torch.cat([part.proven for part in parts]),
            [steps for part in parts for steps in part.steps],
            torch.cat([part.confidence for part in parts]),
            np.concatenate([part.features for part in parts]),
        )

    def _clear(self, target: Tensor) -> Tensor:
        """Tell which vectors have dimensions in plenty for the length they seem to have. Shape: (B,) bool."""
        length = length_evidence(target, self.codebook.eos_codes).argmax(dim=1)
        return ((length + 1) * self.rules.clear <= target.shape[1]) & target.any(dim=1)

    def _stray(self, best: _Best, target: Tensor) -> Tensor:
        total = superpose(best.units, self.codebook.codes, self.codebook.binding)
        return second_eos_score(target, total, self.codebook.eos_codes)

    def _settle(self, best: _Best, rows: Tensor, target: Tensor, semantic: Tensor, fixed: Tensor | None) -> None:
        """Message passing; then, where nothing is proven, other lengths in other ways."""
        settled = self.passing.decode(target[rows], semantic[rows], fixed=None if fixed is None else fixed[rows])
        best.offer(rows, settled)
        if not self.rules.retries:
            return
        for place, likely in self._unsure(settled).items():
            row = int(rows[place])
            known = None if fixed is None else fixed[row]
            evident = self._evident(len(settled.units[place]), float(settled.fit[place]), target.shape[1])
            lengths = self._promising(target[row], semantic[row], likely, evident=evident)
            for first in range(0, len(lengths), self.rules.at_once):
                some = lengths[first : first + self.rules.at_once]
                ways = [(length, way) for length in some for way in self.rules.retries]
                tried = self.passing.decode_one(target[row], semantic[row], ways, known)
                best.offer(torch.full((len(ways),), row), tried)
                if best.proven[row]:
                    break

    def _unsure(self, settled: Settled) -> dict[int, list[int]]:
        """Likely lengths of texts that are neither proven nor of such a length with all units sure."""
        unsure = {}
        for row, (units, scores) in enumerate(zip(settled.units, settled.scores, strict=True)):
            if not settled.proven[row]:
                likely = self._likely_lengths(settled.length_evidence[row])
                if len(units) not in likely or min(scores, default=0.0) < self.rules.sure:
                    unsure[row] = likely
        return unsure

    def _evident(self, length: int, fit: float, width: int) -> bool:
        """Tell whether what was found is there indeed, so that what is missing is hidden by noise.

        Where message passing fails without noise, it ends in codes that stand out of the vector no further than the
        best of all V wrong ones, by ``2 ln V`` squared deviations.
        """
        return fit * fit * width >= (length + 1) * 2.0 * math.log(len(self.codebook.codes))

    def _likely_lengths(self, evidence: Tensor) -> list[int]:
        """Lengths that a text may well have, the likeliest first. Shape: (P,)."""
        values, lengths = evidence.topk(min(self.rules.lengths, len(evidence)))
        likely = (values >= values[0] - self.rules.margin) & (values > NEVER / 2)
        return lengths[likely].tolist()

    def _promising(self, target: Tensor, semantic: Tensor, likely: Sequence[int], *, evident: bool) -> list[int]:
        """Those of the likely lengths that are worth a try, as far as they are not too much; the first in any case.

        A vector must be tight there. Long ones are tried if units at their later half speak for a text without noise
        rather than for plain noise. In a short one a few rare units may speak against it as loudly as noise does, and
        trying costs little; such are tried unless what was found is evident.

        Shape: target (O,), semantic (S,).
        """
        tight = [n for n in likely if (n + 1) * self.rules.tight > len(target)]
        long = [n for n in tight if n >= self.rules.long]
        support = dict(zip(long, self.passing.support(target, semantic, long).tolist(), strict=True))
        lengths: list[int] = []
        for n in tight:
            worth = support[n] > 0.0 if n in support else not evident
            if worth and (not lengths or sum(lengths) + n <= self.rules.positions):
                lengths.append(n)
        return lengths

    def _replay(self, target: Tensor, units: list[int], scores: list[float]) -> list[Step]:
        """Rebuild a text that was found as a whole, its surest units first."""
        recorder = TraceRecorder(target)
        buffer = Buffer(torch.tensor([len(units)]), self.codebook.codes, self.codebook.binding)
        recorder.record_ends(buffer, torch.tensor([0]))
        order = sorted(range(len(units)), key=lambda place: -scores[place])
        rows = torch.zeros(len(order), dtype=torch.int64)
        chosen = torch.tensor([units[place] for place in order], dtype=torch.int64)
        surety = torch.tensor([scores[place] for place in order])
        recorder.put(buffer, rows, torch.tensor(order, dtype=torch.int64), chosen, surety)
        return recorder.steps[0]
