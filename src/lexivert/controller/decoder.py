"""The controller as a whole: incremental where dimensions abound, else message passing, then proof by retry.

Vectors with many dimensions a unit are read by committing the surest units first, which is quick and, measured, best
in noise. Where dimensions are scarce, message passing over all positions at once reads more. A noise-free vector
whose text has been found leaves no residual, so a failure is known to be one: other lengths are guessed, and other
ways of passing messages tried, until one is verified to leave nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.controller.amp import AmpRules, MessagePassing, Settled
from lexivert.controller.buffer import Buffer
from lexivert.controller.channel import fit, proven
from lexivert.controller.confidence import Calibration, text_features
from lexivert.controller.incremental import Incremental, first_length
from lexivert.controller.language import bound_ends
from lexivert.controller.prior import NEVER
from lexivert.controller.proposal import Proposer
from lexivert.controller.trace import Step, TraceRecorder
from lexivert.encoder.composition import superpose


@dataclass(frozen=True)
class DecodeRules:
    """When more is tried.

    Attributes:
        clear: order dimensions a unit, from which on the incremental pass is worth while.
        tight: order dimensions a unit, from which on down a vector without noise may fail, so that trying again
        helps.
        sure: a text all of whose units are at least as probable is not decoded again.
        lengths: lengths tried for a text that is not proven.
        retries: how message passing is run for each of these lengths, one way after the other.
    """

    clear: float = 24.0
    tight: float = 16.0
    sure: float = 0.9
    lengths: int = 5
    retries: tuple[AmpRules, ...] = (AmpRules(caution=0.8), AmpRules(caution=0.65, damping=0.5))


@dataclass(frozen=True)
class Decoded:
    """Texts read back from B vectors.

    Attributes:
        units: unit ids of each text, END not included.
        scores: probability that each unit is right, beside ``units``.
        confidence: probability that the text is exactly right. Shape: (B,).
        fit: cosine of the given order part with the rebuilt one. Shape: (B,).
        proven: whether the rebuilt vector is the given one, so that the text is exactly right. Shape: (B,).
        steps: the rebuild of each text step by step, if it was asked for.
    """

    units: list[list[int]]
    scores: list[list[float]]
    confidence: Tensor
    fit: Tensor
    proven: Tensor
    steps: list[list[Step]]


@dataclass
class _Found:
    """The best known text of each vector."""

    units: list[list[int]]
    scores: list[list[float]]
    fit: Tensor
    proven: Tensor
    likelihood: Tensor

    def take(self, row: int, other: _Found, place: int) -> None:
        """Take over a text of another finding if it is the better one."""
        if bool(self.proven[row]) or other.likelihood[place] <= self.likelihood[row]:
            return
        self.units[row], self.scores[row] = other.units[place], other.scores[place]
        self.fit[row], self.proven[row] = other.fit[place], other.proven[place]
        self.likelihood[row] = other.likelihood[place]


class Decoder:
    """Reads vectors back.

    Args:
        proposer: Prior, index and Placer.
        calibration: of the confidences.
        rules: when more is tried.
    """

    def __init__(
        self, proposer: Proposer, calibration: Calibration | None = None, rules: DecodeRules | None = None
    ) -> None:
        self.proposer = proposer
        self.language = proposer.language
        self.calibration = calibration or Calibration.none()
        self.rules = rules or DecodeRules()
        self.incremental = Incremental(proposer)
        self.passing = MessagePassing(proposer.index, proposer.language, proposer.prior)
        self._ends = bound_ends(self.language.codes, self.language.binding)

    @torch.inference_mode()
    def decode(
        self,
        order: Tensor,
        semantic: Tensor,
        *,
        trace: bool = False,
        fixed: Tensor | None = None,
        banned: Sequence[int] = (),
    ) -> Decoded:
        """Read texts back.

        Args:
            order: order parts, any positive length. Shape: (B, O).
            semantic: semantic prefixes, zero where there is none. Shape: (B, S).
            trace: record the rebuild.
            fixed: units known beforehand, -1 elsewhere. Shape: (B, P).
            banned: units that no text may hold.
        """
        target, semantic = F.normalize(order, dim=-1), F.normalize(semantic, dim=-1)
        batch = len(target)
        steps: list[list[Step]] = [[] for _ in range(batch)]
        found = _Found([[] for _ in range(batch)], [[] for _ in range(batch)], *torch.full((3, batch), -torch.inf))
        found.proven = torch.zeros(batch, dtype=torch.bool)
        passing = self.passing
        if banned:
            passing = MessagePassing(passing.index, self.language, passing.prior.without(banned))
        easy = torch.zeros(batch, dtype=torch.bool)
        if fixed is None and not banned:
            easy = (first_length(target, self._ends) + 1) * self.rules.clear <= target.shape[1]
            easy &= target.any(dim=1)
        rows = easy.nonzero()[:, 0]
        if len(rows):
            quick = self.incremental.decode(target[rows], semantic[rows], trace=trace)
            self._note(found, rows, quick.units, quick.scores, target)
            for row, taken in zip(rows.tolist(), quick.steps, strict=True):
                steps[row] = taken
        hard = (~easy).nonzero()[:, 0]
        before = [list(units) for units in found.units]
        if len(hard):
            self._settle(found, hard, target, semantic, passing, fixed)
        if trace:
            for row in range(batch):
                if not steps[row] or found.units[row] != before[row]:
                    steps[row] = self._replay(target[row : row + 1], found.units[row], found.scores[row])
        return self._decoded(found, target, steps)

    def _note(
        self, found: _Found, rows: Tensor, units: list[list[int]], scores: list[list[float]], target: Tensor
    ) -> None:
        other = self._judged(units, scores, target[rows])
        for place, row in enumerate(rows.tolist()):
            found.take(row, other, place)

    def _judged(self, units: list[list[int]], scores: list[list[float]], target: Tensor) -> _Found:
        """Fit, proof and log likelihood (with the unigram prior) of texts."""
        total = superpose(units, self.language.codes, self.language.binding)
        quality = fit(target, total)
        lengths = torch.tensor([len(text) for text in units])
        certain = proven(quality, lengths, self.language.apart)
        prior = torch.tensor([float(self.language.log_prior[text].sum()) if text else 0.0 for text in units])
        unexplained = (1.0 - quality.square()).clamp_min(1e-6)
        likelihood = prior - 0.5 * target.shape[1] * unexplained.log()
        return _Found(list(units), list(scores), quality, certain, likelihood)

    def _settle(
        self,
        found: _Found,
        rows: Tensor,
        target: Tensor,
        semantic: Tensor,
        passing: MessagePassing,
        fixed: Tensor | None,
    ) -> None:
        """Message passing; then, where nothing is proven, other lengths in other ways."""
        pinned = None if fixed is None else fixed[rows]
        settled = passing.decode(target[rows], semantic[rows], fixed=pinned)
        self._note(found, rows, settled.units, settled.scores, target)
        for rules in self.rules.retries:
            keep = self._worth_while(found, rows, settled, target)
            if not keep.any():
                return
            rows, settled = rows[keep], _some(settled, keep)
            which, length_prior = self._other_lengths(settled)
            known = None if fixed is None else fixed[rows[which]]
            other = passing.with_rules(rules)
            again = other.decode(target[rows[which]], semantic[rows[which]], length_prior, known)
            self._note(found, rows[which], again.units, again.scores, target)

    def _worth_while(self, found: _Found, rows: Tensor, settled: Settled, target: Tensor) -> Tensor:
        """Tell which texts are neither proven nor settled, and so tight that the fault may be ours.

        Shape: (R,) bool.
        """
        sure = torch.tensor(
            [min(scores, default=0.0) >= self.rules.sure for scores in settled.scores], dtype=torch.bool
        )
        lengths = torch.tensor([len(units) for units in settled.units])
        tight = (lengths + 1) * self.rules.tight > target.shape[1]
        return ~found.proven[rows] & ~sure & tight

    def _other_lengths(self, settled: Settled) -> tuple[Tensor, Tensor]:
        """Each text once for every one of its likeliest lengths: which text, and a length prior that leaves no other.

        Shape: (B·L,) and (B·L, P).
        """
        ends = settled.end_evidence
        count = min(self.rules.lengths, ends.shape[1])
        lengths = ends.topk(count, dim=1).indices
        which = torch.arange(len(ends)).repeat_interleave(count)
        length_prior = torch.full((len(which), ends.shape[1]), NEVER)
        length_prior[torch.arange(len(which)), lengths.flatten()] = 0.0
        return which, length_prior

    def _replay(self, target: Tensor, units: list[int], scores: list[float]) -> list[Step]:
        """Rebuild a text that was found as a whole, its surest units first."""
        recorder = TraceRecorder(target)
        buffer = Buffer(torch.tensor([len(units)]), self.language.codes, self.language.binding)
        recorder.record_ends(buffer, torch.tensor([0]))
        order = sorted(range(len(units)), key=lambda place: -scores[place])
        rows = torch.zeros(len(order), dtype=torch.int64)
        chosen = torch.tensor([units[place] for place in order], dtype=torch.int64)
        surety = torch.tensor([scores[place] for place in order])
        recorder.put(buffer, rows, torch.tensor(order, dtype=torch.int64), chosen, surety)
        return recorder.steps[0]

    def _decoded(self, found: _Found, target: Tensor, steps: list[list[Step]]) -> Decoded:
        features = text_features(found.scores, found.fit, target.shape[1])
        confidence, scores = self.calibration(features, found.scores, found.proven)
        return Decoded(found.units, scores, confidence, found.fit, found.proven, steps)


def _some(settled: Settled, keep: Tensor) -> Settled:
    chosen = keep.nonzero()[:, 0].tolist()
    return Settled(
        [settled.units[row] for row in chosen],
        [settled.scores[row] for row in chosen],
        settled.lengths[keep],
        settled.end_evidence[keep],
        settled.fit[keep],
        settled.proven[keep],
        settled.noise[keep],
    )
