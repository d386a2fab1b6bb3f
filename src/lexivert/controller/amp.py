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

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.codes.superposition import superpose
from lexivert.config import AmpParams, RestartParams
from lexivert.controller.belief import OPEN, BeliefState
from lexivert.controller.noise import NoiseEstimate, estimate_noise, length_evidence, onsager
from lexivert.controller.observation import Observation
from lexivert.controller.posterior import IndexPosterior, PosteriorSource
from lexivert.controller.results import DecodeResult
from lexivert.controller.verification import fit, verified
from lexivert.priors.base import TOP_K, Belief, Prior
from lexivert.search.unit_index import UnitIndex
from lexivert.text.lexicon import NEVER

_CONVERGED = 1.0e-3  # largest change of any mean, from which on down nothing more will happen
_LEAST_ROUNDS = 5
_INSIDE = 0.98  # least probability of a position that is sure to lie in the text
# First round: from position 32 on, of those not sure to lie in the text, only every fourth is asked, and its evidence
# stands for the next three; most of them lie behind the end, and asking is what the round costs.
_DENSE, _STRIDE = 32, 4


@dataclass
class _Run:
    """A decoding run of B vectors: what is given, what is believed, and the best reading so far."""

    observed: Observation
    belief: BeliefState
    log_length: Tensor  # (B, N) log prior over lengths
    unit_evidence: Tensor  # (B, N) log evidence of a unit there when last asked (or of one before, see _STRIDE)
    length_evidence: Tensor  # (B, N)
    damping: Tensor  # (B,)
    variance_scale: Tensor  # (B,)
    known: Tensor  # (B, N), -1 where free
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
    """

    def __init__(
        self,
        index: UnitIndex,
        codebook: Codebook,
        prior: Prior,
        params: AmpParams,
        source: PosteriorSource | None = None,
    ) -> None:
        self.codebook = codebook
        self.prior = prior
        self.params = params
        self.source = source or IndexPosterior(index, prior, params.candidates)

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
        run = self._start(observed, lengths, restarts)
        active = torch.arange(len(observed), device=self.codebook.device)
        for number in range(self.params.rounds if len(active) else 0):
            converged = self._round(run, active, first=number == 0)
            self._read_out(run, active)
            active = active[~(run.verified[active] | (converged & (number >= _LEAST_ROUNDS)))]
            if not len(active) or (until_first_verified and run.verified.any()):
                break
        steps: list[list] = [[] for _ in run.units]  # type: ignore[type-arg]
        return DecodeResult(run.units, run.scores, run.fit, run.verified, steps, run.length_evidence)

    def _start(
        self, observed: Observation, lengths: Sequence[int] | None, restarts: Sequence[RestartParams] | None
    ) -> _Run:
        batch, positions = len(observed), self.codebook.binding.positions
        new = observed.order.new_zeros
        known = observed.known
        if known is None:
            known = torch.full((batch, positions), OPEN, device=self.codebook.device)
        log_length = new(batch, positions)
        fewest = (known != OPEN).sum(dim=1, keepdim=True)
        log_length[torch.arange(positions, device=known.device) < fewest] = NEVER
        if lengths is not None:
            given = torch.tensor(lengths, device=known.device)[:, None]
            log_length[torch.arange(positions, device=known.device) != given] = NEVER
        nothing = Belief.empty(1, torch.zeros(batch, dtype=torch.int64, device=known.device), observed.prefix)
        log_length += self.prior.log_length(nothing, positions)
        evidence = length_evidence(observed.order, self.codebook.eos_codes) + log_length
        rules = (
            restarts
            or [RestartParams(damping=self.params.damping, variance_scale=self.params.variance_scale)] * batch
        )
        return _Run(
            observed=observed,
            belief=BeliefState(self.codebook, evidence.softmax(dim=1)),
            log_length=log_length,
            unit_evidence=torch.full_like(log_length, NEVER),
            length_evidence=evidence,
            damping=torch.tensor([rule.damping for rule in rules], device=known.device),
            variance_scale=torch.tensor([rule.variance_scale for rule in rules], device=known.device),
            known=known,
            units=[[] for _ in range(batch)],
            scores=[[] for _ in range(batch)],
            fit=new(batch),
            verified=torch.zeros(batch, dtype=torch.bool, device=known.device),
        )

    def _round(self, run: _Run, rows: Tensor, *, first: bool) -> Tensor:
        """One round for some texts; tells which have converged. Shape: (b,) bool."""
        asked = self._asked(run, rows, first=first)
        estimate = estimate_noise(run.observed, run.belief, rows, variance_scale=run.variance_scale[rows])
        means, units, marginals, evidence = self._posterior(run, rows, asked, estimate)
        run.unit_evidence[rows[asked.which], asked.positions] = evidence
        if first:
            n = asked.source.shape[1]
            run.unit_evidence[rows, :n] = run.unit_evidence[rows].gather(1, asked.source)
        lengths = self._lengths(run, rows, estimate)
        # The lengths begin with the same EOS evidence, so that their first posterior replaces them undamped.
        kept = torch.zeros_like(run.damping[rows]) if first else run.damping[rows]
        lengths = torch.lerp(lengths, run.belief.lengths[rows], kept[:, None])
        inside = (1.0 - lengths.cumsum(dim=1)).clamp(0.0, 1.0)[asked.which, asked.positions]
        return self._update(run, rows, asked, estimate, (means, units, marginals, inside), lengths, kept)

    def _asked(self, run: _Run, rows: Tensor, *, first: bool) -> _Asked:
        """Positions that may lie before EOS, late ones in samples at first; the state is widened for them."""
        before = 1.0 - run.belief.lengths[rows].cumsum(dim=1)
        reached = before > self.params.min_reach
        n = max(int(reached.sum(dim=1).max()), run.belief.positions, 1)
        run.belief.widen(n)
        before, reached = before[:, :n], reached[:, :n]
        reached[:, 0] = True
        source = torch.arange(n, device=rows.device).expand(len(rows), -1)
        if first:
            skipped = reached & (before < _INSIDE) & (source >= _DENSE) & (source % _STRIDE > 0)
            skipped &= (run.known[rows] == OPEN).all(dim=1, keepdim=True)  # what is known speaks for itself alone
            reached &= ~skipped
            source = source - skipped * (source % _STRIDE)
        which, positions = reached.nonzero(as_tuple=True)
        return _Asked(which, positions, source)

    def _posterior(
        self, run: _Run, rows: Tensor, asked: _Asked, estimate: NoiseEstimate
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Mean code, likeliest units, marginals and log evidence at the asked positions; known units are certain.

        Shape: (m, O), (m, k), (m, k) and (m,).
        """
        belief, (which, positions) = run.belief, (asked.which, asked.positions)
        effective = self.codebook.binding.unbind(estimate.residual[which], positions)
        effective += belief.means[rows[which], positions]
        seen = belief.view(rows, belief.positions, run.observed.prefix[rows], estimate.prefix_cosine)
        queries = self.prior.queries(seen)[which, positions]
        variance = estimate.variance[which]
        found = self.source.posterior(effective / variance[:, None], queries, TOP_K, positions)
        means, evidence = found.mean, found.log_evidence - 0.5 / variance
        units, marginals = found.units[:, :TOP_K], found.marginals[:, :TOP_K]
        given = run.known[rows[which], positions]
        pinned = given != OPEN
        means[pinned] = self.codebook.embed(given[pinned])
        units[pinned], marginals[pinned], evidence[pinned] = OPEN, 0.0, 0.0
        units[pinned, 0], marginals[pinned, 0] = given[pinned], 1.0
        return means, units, marginals, evidence

    def _lengths(self, run: _Run, rows: Tensor, estimate: NoiseEstimate) -> Tensor:
        """Posterior over lengths: EOS's evidence at n, units' evidence before it. Shape: (b, N)."""
        lengths = run.belief.lengths[rows]
        before = F.pad(run.unit_evidence[rows].cumsum(dim=1)[:, :-1], (1, 0))
        evidence = estimate.residual @ self.codebook.eos_codes.T + lengths - 0.5
        return torch.softmax(run.log_length[rows] + evidence / estimate.variance[:, None] + before, dim=1)

    def _update(
        self,
        run: _Run,
        rows: Tensor,
        asked: _Asked,
        estimate: NoiseEstimate,
        found: tuple[Tensor, Tensor, Tensor, Tensor],
        lengths: Tensor,
        kept: Tensor,
    ) -> Tensor:
        """Take over posteriors, damped, and the Onsager term; tells which texts have converged. Shape: (b,) bool."""
        belief, (which, positions), damping = run.belief, (asked.which, asked.positions), run.damping[rows]
        means, units, marginals, inside = found
        old = belief.means[rows]
        new = torch.zeros_like(old)
        new[which, positions] = inside[:, None] * means
        new = torch.lerp(new, old, damping[:, None, None])
        free = inside - new[which, positions].square().sum(dim=1)
        free = torch.where(run.known[rows[which], positions] != OPEN, 0.0, free)
        divergence = torch.zeros_like(damping).index_add_(0, which, free) * (1.0 - damping)
        divergence += (lengths - lengths.square()).sum(dim=1) * (1.0 - kept)
        belief.memory[rows] = onsager(estimate, divergence)
        belief.replace(rows, new, lengths)
        belief.marginals[rows] = 0.0
        belief.units[rows[which], positions] = units
        belief.marginals[rows[which], positions] = marginals * inside[:, None]
        return (new - old).abs().amax(dim=(1, 2)) < _CONVERGED

    def _read_out(self, run: _Run, rows: Tensor) -> None:
        """Note the likeliest text of each row, as far as there are units, and how well it fits."""
        lengths = run.belief.length[rows].clamp(max=run.belief.positions).tolist()
        for row, n in zip(rows.tolist(), lengths, strict=True):
            units = run.belief.units[row, :n, 0].tolist()
            end = units.index(OPEN) if OPEN in units else n
            run.units[row], run.scores[row] = units[:end], run.belief.marginals[row, :end, 0].tolist()
        texts = [run.units[row] for row in rows.tolist()]
        total = superpose(texts, self.codebook.codes, self.codebook.binding)
        run.fit[rows] = fit(run.observed.order[rows], total)
        counts = torch.tensor([len(text) for text in texts], device=rows.device)
        run.verified[rows] = verified(run.fit[rows], counts, self.codebook.min_distance)

    @torch.inference_mode()
    def later_half_evidence(self, observed: Observation, lengths: Sequence[int]) -> Tensor:
        """Log likelihood ratio of texts of some lengths, without noise, against plain noise: what units say of it.

        Every position is unbound once. In a text, that gives a code in noise, elsewhere noise alone; both times of
        variance ``(n + 1) / O`` a dimension, n being the mean of the lengths for all of them. A length is judged by
        its later half, where a text of half as many units has nothing, and the prior is that of the longest. What
        EOS says is not in it, see ``length_evidence``.

        Args:
            observed: one vector.
            lengths: units, each at least 1.

        Shape: (lengths,).
        """
        if not lengths:
            return observed.order.new_zeros(0)
        start, longest = min(lengths) // 2, max(lengths)
        positions = torch.arange(start, longest, device=self.codebook.device)
        count = sum(lengths) / len(lengths) + 1.0
        variance = count / self.codebook.width
        scaled = observed.order[0] * count**0.5
        effective = self.codebook.binding.unbind(scaled.expand(len(positions), -1), positions)
        length = torch.tensor([longest], device=positions.device)
        queries = self.prior.queries(Belief.empty(longest, length, observed.prefix))[0, positions]
        found = self.source.posterior(effective / variance, queries, 1, positions)
        evidence = found.log_evidence - 0.5 / variance
        return torch.stack([evidence[n // 2 - start : n - start].mean() * n for n in lengths])
