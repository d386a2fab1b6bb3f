"""Approximate message passing (AMP): all positions at once, soft to the end, with the length as one more unknown.

Each round unbinds every position from what the others leave of the vector, takes the posterior over units, and puts
their mean in the place of the position; the Onsager term keeps what is left Gaussian (Donoho, Maleki & Montanari
2009; for superposition codes Rush, Greig & Venkataramanan 2017). EOS's position has a posterior of its own, from
EOS's evidence, the evidence that units stand before it and none behind, and the prior over lengths. The prior over
units is whatever is given: flat, unigram, or a language model, which never sees what is believed of a position
itself, so that within a round the divergence is that of the posterior mean alone. Over rounds, a position's evidence
does come back to it by way of its neighbours' posteriors, as in any loopy message passing. In the first round, while
the length is open, late positions are asked in samples alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.config import AmpParams, RestartParams
from lexivert.controller.belief import OPEN, BeliefState
from lexivert.controller.evidence import Positions, evidence_at
from lexivert.controller.lengths import length_posterior, log_length_prior
from lexivert.controller.noise import NoiseEstimate, estimate_noise, onsager
from lexivert.controller.observation import Observation
from lexivert.controller.posterior import IndexPosterior, Posterior, PosteriorSource
from lexivert.controller.results import DecodeResult, Step
from lexivert.controller.verification import fit, verified
from lexivert.priors.base import TOP_K, Prior
from lexivert.search.unit_index import UnitIndex
from lexivert.text.lexicon import NEVER

_CONVERGED = 1.0e-3  # largest change of any mean, from which on down nothing more will happen
_LEAST_ROUNDS = 5


@dataclass(frozen=True)
class FirstRound:
    """Which positions the first round asks for, while the length is open.

    Most late positions lie behind the end, and asking is what a round costs. So of those that are not sure to lie in
    the text only some are asked, and the evidence of each stands for those up to the next.

    Attributes:
        dense: the first so many positions are asked in any case.
        stride: of the others, every position that is a multiple of this is asked.
        inside: probability from which on a position is sure to lie in the text.
    """

    dense: int = 32
    stride: int = 4
    inside: float = 0.98


@dataclass
class AmpState:
    """Message passing for B vectors: what is given, what is believed, and the text read at last.

    Attributes:
        observed: the vectors.
        belief: marginals and means of all positions, posterior over lengths.
        log_length: log prior over lengths. Shape: (B, P).
        unit_evidence: log evidence that a unit stands at each position when last asked, or at the one that stands for
            it, see ``FirstRound``. Shape: (B, P).
        length_evidence: log evidence of every length plus its log prior, before the first round. Shape: (B, P).
        damping: share of the former means that a round keeps. Shape: (B,).
        variance_scale: factor on the noise variance. Shape: (B,).
        known: units known beforehand, -1 where free. Shape: (B, P).
        units: likeliest units of each text.
        scores: their probabilities.
        fit: cosine of each text's re-encoding. Shape: (B,).
        verified: see ``verification.verified``. Shape: (B,).
    """

    observed: Observation
    belief: BeliefState
    log_length: Tensor
    unit_evidence: Tensor
    length_evidence: Tensor
    damping: Tensor
    variance_scale: Tensor
    known: Tensor
    units: list[list[int]]
    scores: list[list[float]]
    fit: Tensor
    verified: Tensor


@dataclass(frozen=True)
class _Asked:
    """Positions that a round asks for, m of b texts.

    Attributes:
        which: text of each, as a row among the b. Shape: (m,).
        positions: Shape: (m,).
        source: position whose evidence each position takes over. Shape: (b, N).
    """

    which: Tensor
    positions: Tensor
    source: Tensor


class AmpDecoder:
    """Decodes order parts by AMP.

    Args:
        index: compares units.
        codebook: codes and binding.
        prior: over units and lengths.
        params: rounds, damping, candidates.
        source: posteriors; of all units if None.
        first_round: positions that the first round asks for; the usual ones if None.
    """

    def __init__(
        self,
        index: UnitIndex,
        codebook: Codebook,
        prior: Prior,
        params: AmpParams,
        source: PosteriorSource | None = None,
        first_round: FirstRound | None = None,
    ) -> None:
        self.codebook = codebook
        self.prior = prior
        self.params = params
        self.source = source or IndexPosterior(index, prior, params.candidates)
        self.first_round = first_round or FirstRound()

    @torch.inference_mode()
    def decode(self, observed: Observation, *, trace: bool = False) -> DecodeResult:  # noqa: ARG002 see cascade.replay
        """Read texts back; see ``DecodingAlgorithm``."""
        return self.run(observed)

    @torch.inference_mode()
    def run(
        self,
        observed: Observation,
        *,
        lengths: Sequence[int] | None = None,
        restarts: Sequence[RestartParams] | None = None,
        until_first_verified: bool = False,
    ) -> DecodeResult:
        """Rounds until every text is verified or has converged.

        Args:
            observed: B vectors.
            lengths: units in each text, if they are given.
            restarts: damping and variance scale of each vector; those of ``params`` if None.
            until_first_verified: end as soon as one text is verified: the vectors are one vector's restarts.
        """
        for state in self.rounds(observed, lengths=lengths, restarts=restarts):
            if until_first_verified and state.verified.any():
                break
        steps: list[list[Step]] = [[] for _ in state.units]
        return DecodeResult(state.units, state.scores, state.fit, state.verified, steps, state.length_evidence)

    @torch.inference_mode()
    def rounds(
        self,
        observed: Observation,
        *,
        lengths: Sequence[int] | None = None,
        restarts: Sequence[RestartParams] | None = None,
    ) -> Iterator[AmpState]:
        """The state before the first round and after each, the same object every time.

        Texts that are verified or have converged are left as they are; when all are, the rounds end.

        Args: see ``run``.
        """
        state = self._start(observed, lengths, restarts)
        yield state
        active = torch.arange(len(observed), device=self.codebook.device)
        for number in range(self.params.rounds):
            if not len(active):
                break
            converged = self._round(state, active, first=number == 0)
            self._read_out(state, active)
            yield state
            active = active[~(state.verified[active] | (converged & (number >= _LEAST_ROUNDS)))]

    def _start(
        self, observed: Observation, lengths: Sequence[int] | None, restarts: Sequence[RestartParams] | None
    ) -> AmpState:
        batch, device, new = len(observed), self.codebook.device, observed.order.new_zeros
        known = observed.known
        if known is None:
            known = torch.full((batch, self.codebook.binding.positions), OPEN, device=device)
        log_length = log_length_prior(self.prior, observed, known.shape[1], lengths)
        evidence = length_posterior(observed, self.codebook, log_length)
        usual = RestartParams(damping=self.params.damping, variance_scale=self.params.variance_scale)
        rules = restarts or [usual] * batch
        return AmpState(
            observed=observed,
            belief=BeliefState(self.codebook, evidence.softmax(dim=1)),
            log_length=log_length,
            unit_evidence=torch.full_like(log_length, NEVER),
            length_evidence=evidence,
            damping=torch.tensor([rule.damping for rule in rules], device=device),
            variance_scale=torch.tensor([rule.variance_scale for rule in rules], device=device),
            known=known,
            units=[[] for _ in range(batch)],
            scores=[[] for _ in range(batch)],
            fit=new(batch),
            verified=torch.zeros(batch, dtype=torch.bool, device=device),
        )

    def _round(self, state: AmpState, rows: Tensor, *, first: bool) -> Tensor:
        """One round for some texts; tells which have converged. Shape: (b,) bool."""
        asked = self._asked(state, rows, first=first)
        estimate = estimate_noise(state.observed, state.belief, rows, variance_scale=state.variance_scale[rows])
        found = self._posterior(state, rows, asked, estimate)
        state.unit_evidence[rows[asked.which], asked.positions] = found.log_evidence
        if first:
            n = asked.source.shape[1]
            state.unit_evidence[rows, :n] = state.unit_evidence[rows].gather(1, asked.source)
        lengths = self._lengths(state, rows, estimate)
        # The lengths begin with the same EOS evidence, so that their first posterior replaces them undamped.
        kept = torch.zeros_like(state.damping[rows]) if first else state.damping[rows]
        lengths = torch.lerp(lengths, state.belief.lengths[rows], kept[:, None])
        return self._update(state, rows, asked, estimate, found, lengths, kept)

    def _asked(self, state: AmpState, rows: Tensor, *, first: bool) -> _Asked:
        """Positions that may lie before EOS, late ones in samples at first; the state is widened for them."""
        before = 1.0 - state.belief.lengths[rows].cumsum(dim=1)
        reached = before > self.params.min_reach
        n = max(int(reached.sum(dim=1).max()), state.belief.positions, 1)
        state.belief.widen(n)
        before, reached = before[:, :n], reached[:, :n]
        reached[:, 0] = True
        source = torch.arange(n, device=rows.device).expand(len(rows), -1)
        if first:
            rule = self.first_round
            skipped = reached & (before < rule.inside) & (source >= rule.dense) & (source % rule.stride > 0)
            skipped &= (state.known[rows] == OPEN).all(dim=1, keepdim=True)  # what is known speaks for itself alone
            reached &= ~skipped
            source = source - skipped * (source % rule.stride)
        which, positions = reached.nonzero(as_tuple=True)
        return _Asked(which, positions, source)

    def _posterior(self, state: AmpState, rows: Tensor, asked: _Asked, estimate: NoiseEstimate) -> Posterior:
        """Posterior at the asked positions, its log evidence against plain noise; known units are certain."""
        belief, (which, positions) = state.belief, (asked.which, asked.positions)
        place = Positions(rows, which, positions)
        evidence = evidence_at(place, belief.positions, state.observed, belief, estimate, self.prior)
        found = self.source.posterior(evidence, TOP_K, positions)
        means, energy, log_evidence = found.mean, found.energy, found.log_evidence
        units, marginals = found.units[:, :TOP_K], found.marginals[:, :TOP_K]
        given = state.known[rows[which], positions]
        pinned = given != OPEN
        means[pinned] = self.codebook.embed(given[pinned])
        energy[pinned] = self.codebook.energies[given[pinned]]
        units[pinned], marginals[pinned], log_evidence[pinned] = OPEN, 0.0, 0.0
        units[pinned, 0], marginals[pinned, 0] = given[pinned], 1.0
        return Posterior(units, marginals, means, energy, log_evidence)

    def _lengths(self, state: AmpState, rows: Tensor, estimate: NoiseEstimate) -> Tensor:
        """Posterior over lengths: EOS's evidence at n, units' evidence before it. Shape: (b, N)."""
        lengths = state.belief.lengths[rows]
        before = F.pad(state.unit_evidence[rows].cumsum(dim=1)[:, :-1], (1, 0))
        evidence = estimate.residual @ self.codebook.eos_codes.T + self.codebook.eos_energies * (lengths - 0.5)
        return torch.softmax(state.log_length[rows] + evidence / estimate.variance[:, None] + before, dim=1)

    def _update(
        self,
        state: AmpState,
        rows: Tensor,
        asked: _Asked,
        estimate: NoiseEstimate,
        found: Posterior,
        lengths: Tensor,
        kept: Tensor,
    ) -> Tensor:
        """Take over posteriors, damped, and the Onsager term; tells which texts have converged. Shape: (b,) bool."""
        belief, (which, positions), damping = state.belief, (asked.which, asked.positions), state.damping[rows]
        inside = (1.0 - lengths.cumsum(dim=1)).clamp(0.0, 1.0)[which, positions]
        old = belief.means[rows]
        new = torch.zeros_like(old)
        new[which, positions] = inside[:, None] * found.mean
        new = torch.lerp(new, old, damping[:, None, None])
        free = inside * found.energy - new[which, positions].square().sum(dim=1)
        free = torch.where(state.known[rows[which], positions] != OPEN, 0.0, free)
        divergence = torch.zeros_like(damping).index_add_(0, which, free) * (1.0 - damping)
        divergence += ((lengths - lengths.square()) @ self.codebook.eos_energies) * (1.0 - kept)
        belief.memory[rows] = onsager(estimate, divergence)
        belief.replace(rows, new, lengths)
        belief.marginals[rows] = 0.0
        belief.units[rows[which], positions] = found.units
        belief.marginals[rows[which], positions] = found.marginals * inside[:, None]
        return (new - old).abs().amax(dim=(1, 2)) < _CONVERGED

    def _read_out(self, state: AmpState, rows: Tensor) -> None:
        """Note the likeliest text of each row, as far as there are units, and how well it fits."""
        lengths = state.belief.length[rows].clamp(max=state.belief.positions).tolist()
        for row, n in zip(rows.tolist(), lengths, strict=True):
            units = state.belief.units[row, :n, 0].tolist()
            end = units.index(OPEN) if OPEN in units else n
            state.units[row], state.scores[row] = units[:end], state.belief.marginals[row, :end, 0].tolist()
        texts = [state.units[row] for row in rows.tolist()]
        total = self.codebook.superpose(texts)
        state.fit[rows] = fit(state.observed.order[rows], total)
        counts = torch.tensor([len(text) for text in texts], device=rows.device)
        state.verified[rows] = verified(state.fit[rows], counts, self.codebook.min_distance)
