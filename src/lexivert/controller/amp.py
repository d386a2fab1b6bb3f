"""Approximate message passing: all positions at once, soft to the end, with the length as one more unknown.

Each round unbinds every position from what the others leave of the vector, takes the posterior over units, and puts
their mean in the place of the position; the Onsager term keeps what is left Gaussian (Donoho, Maleki & Montanari
2009; for superposition codes Rush, Greig & Venkataramanan 2017). EOS's position has a posterior of its own, from
EOS's evidence, the evidence that units stand before it and none behind, and the prior over lengths. The prior over
units is whatever is given: flat, unigram, or the Selector's, which never sees what is held at a position itself, so
that within a round the divergence is that of the posterior mean alone. Over rounds, a position's evidence does come
back to it by way of its neighbours' posteriors, as in any loopy message passing. In the first round, while the length
is open, late positions are asked in samples alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.codes.superposition import superpose
from lexivert.controller.noise import (
    combined_cosine,
    fit,
    length_evidence,
    onsager_share,
    prefix_cosine,
    proven,
)
from lexivert.controller.results import Settled
from lexivert.priors.base import Prior
from lexivert.priors.selector import HELD, Context
from lexivert.search.candidates import CandidateLists
from lexivert.search.faiss_index import UnitIndex
from lexivert.text.lexicon import NEVER

_STILL = 1.0e-3  # largest change of any mean, from which on nothing more will happen
_LEAST_ROUNDS = 5
_VARIANCE_FLOOR = 1.0e-5
_INSIDE = 0.98  # least probability of a position that is sure to lie in the text
# First round: from position 32 on, of those not sure to lie in the text, only every fourth is asked, and its evidence
# stands for the next three; most of them lie behind the end, and asking is what the round costs.
_DENSE, _STRIDE = 32, 4


@dataclass(frozen=True)
class AmpParams:
    """How long and how boldly.

    Attributes:
        rounds: most rounds.
        damping: share of the former mean that is kept in each round.
        candidates: units whose codes make up a posterior mean.
        caution: factor on the noise that the residual shows; above 1 guesses stay soft for longer,
            below 1 they are bolder, and settle elsewhere.
        remote: a position that lies before EOS with no more probability than this is left out.
    """

    rounds: int = 24
    damping: float = 0.3
    candidates: int = 48
    caution: float = 1.0
    remote: float = 0.02


@dataclass
class _State:
    target: Tensor  # (B, O)
    semantic: Tensor  # (B, S)
    length_prior: Tensor  # (B, P)
    lengths: Tensor  # (B, P)
    means: Tensor  # (B, N, O)
    units: Tensor  # (B, N, HELD)
    shares: Tensor  # (B, N, HELD)
    supports: Tensor  # (B, P), log evidence of a unit there when last asked (or of one before, see _STRIDE)
    residual: Tensor  # (B, O)
    onsager: Tensor  # (B,)
    fixed: Tensor  # (B, P), -1 where free
    damping: Tensor  # (B,)
    caution: Tensor  # (B,)
    length_evidence: Tensor  # (B, P)
    fit: Tensor
    proven: Tensor
    best: list[list[int]]
    scores: list[list[float]]


class AmpDecoder:
    """Decodes order parts by AMP.

    Args:
        index: nearest units.
        codebook: codes and rotations.
        prior: over units and lengths.
        rules: rounds, damping, candidates.
        shortlists: asked in place of the index.
    """

    def __init__(
        self,
        index: UnitIndex,
        codebook: Codebook,
        prior: Prior,
        rules: AmpParams | None = None,
        shortlists: CandidateLists | None = None,
    ) -> None:
        self.index = index
        self.codebook = codebook
        self.prior = prior
        self.rules = rules or AmpParams()
        self._candidate_lists = shortlists

    @torch.inference_mode()
    def decode_one(
        self, order: Tensor, semantic: Tensor, ways: Sequence[tuple[int, AmpParams]], fixed: Tensor | None = None
    ) -> Settled:
        """Try one vector in several ways at once, over shared shortlists; the first proof ends them all.

        Args:
            order: order part, any positive length. Shape: (O,).
            semantic: its prefix, zero if there is none. Shape: (S,).
            ways: units in the text, and damping and caution; rounds and reach are the first way's for all.
            fixed: units known beforehand, -1 where nothing is known. Shape: (P,).

        Returns:
            One text a way.

        Raises:
            ValueError: there is no way, or one of fewer units than are known.
        """
        count, positions = len(ways), self.codebook.binding.positions
        least = 0 if fixed is None else int((fixed >= 0).sum())
        if not ways or min(length for length, _ in ways) < least:
            raise ValueError(f"ways must be given, of at least the {least} units that are known")
        length_prior = torch.full((count, positions), NEVER)
        length_prior[torch.arange(count), [length for length, _ in ways]] = 0.0
        shortlists = CandidateLists(self.index, max(1, *(length for length, _ in ways)))
        tried = AmpDecoder(self.index, self.codebook, self.prior, ways[0][1], shortlists)
        known = None if fixed is None else fixed.expand(count, -1)
        target, prefix = F.normalize(order, dim=0).expand(count, -1), F.normalize(semantic, dim=0).expand(count, -1)
        state = tried._start(target, prefix, length_prior, known, [rules for _, rules in ways])
        return tried._run(state, one_proof=True)

    @torch.inference_mode()
    def support(self, order: Tensor, semantic: Tensor, lengths: Sequence[int]) -> Tensor:
        """Log likelihood ratio of texts of some lengths, without noise, against plain noise: what units say of it.

        Every position is unbound once. In a text, that gives a code in noise, elsewhere noise alone; both times of
        variance ``(n + 1) / O`` a dimension, n being the mean of the lengths for all of them. A length is judged by
        its later half, where a text of half as many units has nothing, and the prior is that of the longest. What
        EOS says is not in it, see ``length_evidence``.

        Args:
            order: order part, any positive length. Shape: (O,).
            semantic: its prefix, zero if there is none. Shape: (S,).
            lengths: units, each at least 1. Shape: (L,).

        Shape: (L,).
        """
        if not lengths:
            return torch.zeros(0)
        prefix = F.normalize(semantic, dim=0)[None]
        start, longest = min(lengths) // 2, max(lengths)
        positions = torch.arange(start, longest)
        count = sum(lengths) / len(lengths) + 1.0
        variance = count / len(order)
        whole = F.normalize(order, dim=0) * count**0.5
        evidence = self.codebook.binding.unbind(whole.expand(len(positions), -1), positions)
        nothing = torch.full((1, longest), -1)
        context = Context.certain(nothing, torch.tensor([longest]), prefix, prefix.norm(dim=1))
        queries = self.prior.queries(context)[0, positions]
        found = self.index.posterior(evidence / variance, 1, (queries, self.prior.table))
        support = found.whole - 0.5 / variance
        return torch.stack([support[n // 2 - start : n - start].mean() * n for n in lengths])

    @torch.inference_mode()
    def decode(
        self, order: Tensor, semantic: Tensor, length_prior: Tensor | None = None, fixed: Tensor | None = None
    ) -> Settled:
        """Read texts back.

        Args:
            order: order parts, any positive length. Shape: (B, O).
            semantic: semantic prefixes, zero where there is none. Shape: (B, S).
            length_prior: log probabilities added to those of the prior. Shape: (B, P).
            fixed: units known beforehand, -1 where nothing is known. Shape: (B, P).
        """
        target, prefix = F.normalize(order, dim=-1), F.normalize(semantic, dim=-1)
        state = self._start(target, prefix, length_prior, fixed, [self.rules] * len(target))
        return self._run(state, one_proof=False)

    def _run(self, state: _State, *, one_proof: bool) -> Settled:
        """Rounds until every text is proven or stands still, or until one is proven."""
        active = torch.arange(len(state.target))
        for number in range(self.rules.rounds if len(active) else 0):
            still = self._round(state, active, first=number == 0)
            self._read_out(state, active)
            active = active[~(state.proven[active] | (still & (number >= _LEAST_ROUNDS)))]
            if not len(active) or (one_proof and state.proven.any()):
                break
        return Settled(state.best, state.scores, state.fit, state.proven, state.length_evidence)

    def _start(
        self,
        target: Tensor,
        semantic: Tensor,
        length_prior: Tensor | None,
        fixed: Tensor | None,
        rules: Sequence[AmpParams],
    ) -> _State:
        batch, positions = len(target), self.codebook.binding.positions
        length_prior = torch.zeros(batch, positions) if length_prior is None else length_prior.clone()
        if fixed is not None:
            known = (fixed >= 0).sum(dim=1)
            length_prior[torch.arange(positions)[None, :] < known[:, None]] = NEVER
        nothing = torch.full((batch, 1), -1)
        context = Context.certain(nothing, torch.zeros(batch, dtype=torch.int64), semantic, semantic.norm(dim=1))
        length_prior = length_prior + self.prior.log_length(context, positions)
        evidence = length_evidence(target, self.codebook.eos_codes) + length_prior
        return _State(
            target,
            semantic,
            length_prior,
            lengths=evidence.softmax(dim=1),
            means=torch.zeros(batch, 0, target.shape[1]),
            units=torch.full((batch, 0, HELD), -1),
            shares=torch.zeros(batch, 0, HELD),
            supports=torch.full((batch, positions), NEVER),
            residual=torch.zeros_like(target),
            onsager=torch.zeros(batch),
            fixed=torch.full((batch, positions), -1) if fixed is None else fixed,
            damping=torch.tensor([way.damping for way in rules]),
            caution=torch.tensor([way.caution for way in rules]),
            length_evidence=evidence,
            fit=torch.zeros(batch),
            proven=torch.zeros(batch, dtype=torch.bool),
            best=[[] for _ in range(batch)],
            scores=[[] for _ in range(batch)],
        )

    def _reach(self, state: _State, rows: Tensor) -> Tensor:
        """Probability that each position lies before EOS; arrays are widened to hold all that matter.

        Shape: (R, N).
        """
        before = 1.0 - state.lengths[rows].cumsum(dim=1)
        n = max(int((before > self.rules.remote).sum(dim=1).max()), state.means.shape[1], 1)
        more = n - state.means.shape[1]
        if more:
            state.means = F.pad(state.means, (0, 0, 0, more))
            state.units = F.pad(state.units, (0, 0, 0, more), value=-1)
            state.shares = F.pad(state.shares, (0, 0, 0, more))
        return before[:, :n]

    def _round(self, state: _State, rows: Tensor, *, first: bool) -> Tensor:
        """One round for some texts; tells which stood still. Shape: (R,) bool."""
        before = self._reach(state, rows)
        residual, variance, cosine = self._observe(state, rows, first=first)
        alive = before > self.rules.remote
        alive[:, 0] = True
        source = torch.arange(alive.shape[1]).expand_as(alive)
        if first:
            skipped = alive & (before < _INSIDE) & (source >= _DENSE) & (source % _STRIDE > 0)
            skipped &= (state.fixed[rows] < 0).all(dim=1, keepdim=True)  # what is known speaks for itself alone
            alive &= ~skipped
            source = source - skipped * (source % _STRIDE)
        which, positions = alive.nonzero(as_tuple=True)
        evidence = self.codebook.binding.unbind(residual[which], positions)
        evidence += state.means[rows[which], positions]
        context = Context(
            state.units[rows],
            state.shares[rows],
            state.lengths[rows].argmax(dim=1),
            state.semantic[rows],
            cosine,
        )
        queries = self.prior.queries(context)[which, positions]
        means, units, shares, support = self._posterior(evidence, variance[which], queries, positions)
        given = state.fixed[rows[which], positions]
        pinned = given >= 0
        means[pinned] = self.codebook.codes[given[pinned]].float()
        units[pinned], shares[pinned], support[pinned] = -1, 0.0, 0.0
        units[pinned, 0], shares[pinned, 0] = given[pinned], 1.0
        state.supports[rows[which], positions] = support
        if first:
            state.supports[rows, : alive.shape[1]] = state.supports[rows].gather(1, source)
        lengths = self._lengths(state, rows, residual, variance)
        damping = state.damping[rows]
        # The lengths begin with the same EOS evidence, so their first posterior replaces them whole.
        kept = torch.zeros_like(damping) if first else damping
        lengths = torch.lerp(lengths, state.lengths[rows], kept[:, None])
        inside = (1.0 - lengths.cumsum(dim=1)).clamp(0.0, 1.0)[which, positions]
        new = torch.zeros(len(rows), *state.means.shape[1:])
        new[which, positions] = inside[:, None] * means
        new = torch.lerp(new, state.means[rows], damping[:, None, None])
        free = torch.where(pinned, 0.0, inside - new[which, positions].square().sum(dim=1))
        spread = torch.zeros(len(rows)).index_add_(0, which, free) * (1.0 - damping)
        spread += (lengths - lengths.square()).sum(dim=1) * (1.0 - kept)
        state.onsager[rows] = onsager_share(spread, residual.shape[1], variance)
        still = (new - state.means[rows]).abs().amax(dim=(1, 2)) < _STILL
        state.means[rows], state.lengths[rows] = new, lengths
        state.residual[rows] = residual
        state.shares[rows] = 0.0
        state.units[rows[which], positions] = units
        state.shares[rows[which], positions] = shares * inside[:, None]
        return still

    def _observe(self, state: _State, rows: Tensor, *, first: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Residual with its memory, noise per dimension, and the semantic prefix's expected cosine."""
        width, lengths, target = state.target.shape[1], state.lengths[rows], state.target[rows]
        count = torch.arange(1, lengths.shape[1] + 1, dtype=torch.float32)
        expected = lengths @ count
        means = state.means[rows]
        bound = self.codebook.binding.bind(means, torch.arange(means.shape[1]).expand(len(rows), -1))
        total = bound.sum(dim=1) + lengths @ self.codebook.eos_codes
        known = means.square().sum(dim=(1, 2)) + lengths.square().sum(dim=1)
        cosine = combined_cosine(target, total, expected, known)
        residual = (expected.sqrt() / cosine)[:, None] * target - total
        if not first:
            residual = residual + state.residual[rows] * state.onsager[rows][:, None]
        variance = (residual.square().sum(dim=1) * (state.caution[rows] / width)).clamp_min(_VARIANCE_FLOOR)
        prefix = prefix_cosine(cosine, width, state.semantic.shape[1], self.codebook.semantic_share)
        return residual, variance, prefix * state.semantic[rows].norm(dim=1)

    def _posterior(
        self, evidence: Tensor, variance: Tensor, queries: Tensor, positions: Tensor
    ) -> tuple[Tensor, ...]:
        """Mean code, likeliest units with their probabilities, and log evidence that a unit stands there.

        Shape: evidence (M, O), positions (M,), result (M, O), (M, HELD), (M, HELD) and (M,).
        """
        raw, bias = evidence / variance[:, None], (queries, self.prior.table)
        if self._candidate_lists is None:
            found = self.index.posterior(raw, self.rules.candidates, bias)
        else:
            found = self._candidate_lists.posterior(raw, HELD, bias, positions)
        return found.mean, found.units[:, :HELD], found.shares[:, :HELD], found.whole - 0.5 / variance

    def _lengths(self, state: _State, rows: Tensor, residual: Tensor, variance: Tensor) -> Tensor:
        """Posterior over lengths: EOS's evidence at n, units' evidence before it. Shape: (R, P)."""
        lengths = state.lengths[rows]
        before = F.pad(state.supports[rows].cumsum(dim=1)[:, :-1], (1, 0))
        evidence = residual @ self.codebook.eos_codes.T + lengths - 0.5
        return torch.softmax(state.length_prior[rows] + evidence / variance[:, None] + before, dim=1)

    def _read_out(self, state: _State, rows: Tensor) -> None:
        """Note the likeliest text of each row, as far as there are units, and how well it fits."""
        lengths = state.lengths[rows].argmax(dim=1).clamp(max=state.units.shape[1]).tolist()
        for row, n in zip(rows.tolist(), lengths, strict=True):
            units = state.units[row, :n, 0].tolist()
            end = units.index(-1) if -1 in units else n
            state.best[row], state.scores[row] = units[:end], state.shares[row, :end, 0].tolist()
        texts = [state.best[row] for row in rows.tolist()]
        state.fit[rows] = fit(state.target[rows], superpose(texts, self.codebook.codes, self.codebook.binding))
        counts = torch.tensor([len(text) for text in texts])
        state.proven[rows] = proven(state.fit[rows], counts, self.codebook.min_distance)
