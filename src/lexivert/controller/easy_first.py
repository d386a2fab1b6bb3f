"""The decode loop: residual, intentions, candidates, commit the easiest, revise, stop.

Interference cancellation on a superposition code: what is sure is committed and subtracted, which makes the rest
surer (Frady, Kleyko & Sommer 2018; compare AMP decoding, Rush, Greig & Venkataramanan 2017). The length is never
given: EOS is a unit like any other and its position is found, and moved, by its own evidence. A vanishing residual
proves that a noise-free vector has been read exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.controller.belief import OPEN, Buffer
from lexivert.controller.noise import Channel, fit, length_evidence, observe, onsager, proven
from lexivert.controller.placer import Placer
from lexivert.controller.posterior import Proposal, Proposer
from lexivert.controller.results import Rebuilt
from lexivert.controller.trace import TraceRecorder
from lexivert.priors.selector import HELD

_MEAN_OF = 4
"""Candidates that a guess is the mean of."""


@dataclass(frozen=True)
class EasyFirstParams:
    """How far the loop searches, and when it stops.

    Attributes:
        quick_rounds: searches of a position among the frequent units before all units are searched.
        quiet: noise, in unit codes' energy, from which on down all units are searched at once, as few dimensions do.
        rounds: most rounds a text.
        revisions: most times that a complete text is examined.
    """

    quick_rounds: int = 1
    quiet: float = 6.0
    rounds: int = 24
    revisions: int = 3


@dataclass
class _State:
    target: Tensor
    semantic: Tensor
    buffer: Buffer
    scores: Tensor
    searches: Tensor
    revisions: Tensor
    active: Tensor
    memory: Tensor
    recorder: TraceRecorder | None = field(default=None)


class EasyFirst:
    """Reads order parts back, the surest units first.

    Args:
        proposer: Selector and index.
        rules: how far to search, and when to stop.
    """

    def __init__(self, proposer: Proposer, rules: EasyFirstParams | None = None) -> None:
        self.proposer = proposer
        self.placer = Placer()
        self.rules = rules or EasyFirstParams()
        self.codebook = proposer.codebook

    @torch.inference_mode()
    def decode(self, order: Tensor, semantic: Tensor, *, trace: bool = False) -> Rebuilt:
        """Read texts back.

        Args:
            order: order parts, any positive length. Shape: (B, O).
            semantic: semantic prefixes. Shape: (B, S).
            trace: record every commit.
        """
        state = self._start(F.normalize(order, dim=-1), F.normalize(semantic, dim=-1), trace=trace)
        for step in range(self.rules.rounds):
            self._find_end(state)
            self._finish(state)
            if not len(state.active):
                break
            self._round(state, last=step == self.rules.rounds - 1)
        return _result(state, self.codebook.min_distance)

    def _start(self, target: Tensor, semantic: Tensor, *, trace: bool) -> _State:
        length = length_evidence(target, self.codebook.eos_codes).argmax(dim=1)
        buffer = Buffer(length, self.codebook.codes, self.codebook.binding)
        batch = len(target)
        recorder = TraceRecorder(target) if trace else None
        if recorder is not None:
            recorder.record_ends(buffer, torch.arange(batch))
        return _State(
            target=target,
            semantic=semantic,
            buffer=buffer,
            scores=torch.zeros(buffer.units.shape),
            searches=torch.zeros(buffer.units.shape, dtype=torch.int64),
            revisions=torch.zeros(batch, dtype=torch.int64),
            active=torch.arange(batch),
            memory=torch.zeros_like(target),
            recorder=recorder,
        )

    def _channel(self, state: _State, rows: Tensor) -> Channel:
        buffer = state.buffer
        return observe(
            state.target[rows],
            buffer.total[rows],
            buffer.length[rows],
            buffer.known_energy()[rows],
            buffer.complete()[rows],
            state.memory[rows],
        )

    def _find_end(self, state: _State) -> None:
        """Move EOS where its evidence is better at another position."""
        rows, buffer = state.active, state.buffer
        channel = self._channel(state, rows)
        without = channel.residual + self.codebook.eos_codes[buffer.length[rows]]
        found = (without @ self.codebook.eos_codes.T).argmax(dim=1)
        moved = found != buffer.length[rows]
        if moved.any():
            buffer.move_end(rows[moved], found[moved])
            if state.recorder is not None:
                state.recorder.record_ends(buffer, rows[moved])

    def _finish(self, state: _State) -> None:
        """Retire texts that are complete and proven, or have been examined often enough."""
        rows, buffer = state.active, state.buffer
        complete = buffer.complete()[rows]
        quality = fit(state.target[rows], buffer.total[rows])
        certain = proven(quality, buffer.length[rows], self.codebook.min_distance)
        examined = state.revisions[rows] >= self.rules.revisions
        state.active = rows[~(complete & (certain | examined))]

    def _round(self, state: _State, *, last: bool) -> None:
        rows, buffer = state.active, state.buffer
        channel = self._channel(state, rows)
        n = max(int(buffer.length[rows].max()), 1)
        still_open = buffer.open()[rows, :n]
        complete = ~still_open.any(dim=1)
        asked = still_open | (self._doubtful(state, rows, channel, n) & complete[:, None])
        state.revisions[rows[complete]] += 1
        settled = complete & ~asked.any(dim=1)
        state.revisions[rows[settled]] = self.rules.revisions
        if not asked.any():
            return
        slots = self.proposer.see(buffer, rows, channel, state.semantic[rows], asked)
        where = asked.nonzero(as_tuple=True)
        loud = channel.variance[where[0]] * state.target.shape[1] > self.rules.quiet
        searched = state.searches[rows[where[0]], where[1]]
        quick = still_open[where] & loud & (searched < self.rules.quick_rounds)
        held = buffer.units[rows[where[0]], where[1]]
        proposal = self.proposer.propose(slots, quick, held)
        spread = self._commit(state, rows, proposal, quick, last=last)
        state.memory[rows] = onsager(channel, spread)
        state.searches[rows[where[0]], where[1]] += 1

    def _doubtful(self, state: _State, rows: Tensor, channel: Channel, n: int) -> Tensor:
        """Tell which committed units have too little evidence of their own. Shape: (R, n) bool."""
        buffer = state.buffer
        committed = (buffer.weights[rows, :n] == 1) & buffer.inside()[rows, :n]
        complete = committed.sum(dim=1) == buffer.length[rows]
        committed &= complete[:, None]
        which, positions = committed.nonzero(as_tuple=True)
        codes = self.codebook.codes[buffer.units[rows[which], positions]].float()
        bound = self.codebook.binding.bind(codes, positions)
        strength = 1.0 + (bound * channel.residual[which]).sum(dim=1)
        doubtful = torch.zeros_like(committed)
        doubtful[which, positions] = self.placer.doubts(strength, channel.variance[which])
        return doubtful

    def _commit(self, state: _State, active: Tensor, proposal: Proposal, quick: Tensor, *, last: bool) -> Tensor:
        """Commit the sure pairs, or the easiest where nothing is sure, and hold the rest as guesses.

        Returns:
            Sum of ``p - |m|²`` over each text's guesses, see ``onsager``. Shape: (R,).
        """
        probability, choice = proposal.probabilities.max(dim=1)
        units = proposal.units.gather(1, choice[:, None])[:, 0]
        commit = self.placer.commits(proposal.rows, probability, quick)
        if last:
            commit = torch.ones_like(commit)
        rows = active[proposal.rows]
        state.scores[rows, proposal.positions] = probability
        guess = ~commit
        means, mass = self._means(proposal, guess)
        state.buffer.put(rows[guess], proposal.positions[guess], units[guess], probability[guess], means)
        shares, places = proposal.probabilities[guess].topk(HELD, dim=1)
        state.buffer.note(rows[guess], proposal.positions[guess], proposal.units[guess].gather(1, places), shares)
        spread = torch.zeros(len(active)).index_add_(0, proposal.rows[guess], mass - means.square().sum(dim=1))
        order = commit.nonzero()[:, 0]
        order = order[torch.argsort(-probability[order], stable=True)]
        rows, positions, units = rows[order], proposal.positions[order], units[order]
        if state.recorder is not None:
            state.recorder.put(state.buffer, rows, positions, units, probability[order])
        else:
            state.buffer.put(rows, positions, units, torch.ones(len(order)))
        return spread

    def _means(self, proposal: Proposal, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior mean of the code at some positions, over the likeliest candidates, and their summed probability.

        Shape: chosen (M,) bool, results (chosen, O) and (chosen,).
        """
        probability, places = proposal.probabilities[chosen].topk(min(_MEAN_OF, proposal.units.shape[1]), dim=1)
        codes = self.codebook.codes[proposal.units[chosen].gather(1, places)].float()
        return torch.bmm(probability[:, None, :], codes)[:, 0], probability.sum(dim=1)


def _result(state: _State, min_distance: float) -> Rebuilt:
    buffer = state.buffer
    lengths = buffer.length.tolist()
    units = [row[:n] for row, n in zip(buffer.units.tolist(), lengths, strict=True)]
    scores = [row[:n] for row, n in zip(state.scores.tolist(), lengths, strict=True)]
    kept = [[unit != OPEN for unit in row] for row in units]
    units = [[u for u, k in zip(row, keep, strict=True) if k] for row, keep in zip(units, kept, strict=True)]
    scores = [[s for s, k in zip(row, keep, strict=True) if k] for row, keep in zip(scores, kept, strict=True)]
    quality = fit(state.target, buffer.total)
    certain = proven(quality, buffer.length, min_distance) & buffer.complete()
    steps = state.recorder.steps if state.recorder is not None else [[] for _ in units]
    return Rebuilt(units, scores, quality, certain, steps)
