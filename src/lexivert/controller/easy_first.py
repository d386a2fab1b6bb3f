"""Easy-first decoding: commit the surest units, subtract them, look again, revise, stop.

Interference cancellation on a superposition code: what is sure is committed and subtracted, which makes the rest
surer (Frady, Kleyko & Sommer 2018; compare AMP decoding, Rush, Greig & Venkataramanan 2017). At positions that are
still open a guess is subtracted, the mean over their likeliest candidates. The length is never given: EOS is a unit
like any other and its position is found, and moved, by its own evidence. A vanishing residual verifies a noise-free
reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.config import EasyFirstParams
from lexivert.controller.belief import OPEN, BeliefState
from lexivert.controller.candidates import CandidateSearch, Queries
from lexivert.controller.evidence import Positions, evidence_at
from lexivert.controller.lengths import length_posterior, log_length_prior
from lexivert.controller.noise import NoiseEstimate, estimate_noise, onsager
from lexivert.controller.observation import Observation
from lexivert.controller.placer import Placer
from lexivert.controller.results import DecodeResult
from lexivert.controller.trace import TraceRecorder
from lexivert.controller.verification import fit, verified
from lexivert.priors.base import TOP_K, Prior
from lexivert.search.unit_index import UnitIndex

_MEAN_OF = 4
"""Candidates that a guess is the mean of."""


@dataclass
class _Run:
    observed: Observation
    belief: BeliefState
    log_length: Tensor  # (B, P)
    scores: Tensor  # (B, N) probability of each position's unit
    searches: Tensor  # (B, N) how often each position was searched
    revisions: Tensor  # (B,)
    active: Tensor
    recorder: TraceRecorder | None

    def widen(self, positions: int) -> None:
        """Make room for so many positions."""
        more = positions - self.scores.shape[1]
        self.belief.widen(positions)
        if more > 0:
            self.scores = torch.nn.functional.pad(self.scores, (0, more))
            self.searches = torch.nn.functional.pad(self.searches, (0, more))


class EasyFirst:
    """Reads order parts back, the surest units first.

    Args:
        index: nearest units.
        codebook: codes and binding.
        prior: over units.
        params: how far to search, what to commit, and when to stop.
    """

    def __init__(self, index: UnitIndex, codebook: Codebook, prior: Prior, params: EasyFirstParams) -> None:
        self.codebook = codebook
        self.prior = prior
        self.params = params
        self.search = CandidateSearch(prior, index, codebook, params.candidates)
        self.placer = Placer(
            params.commit_probability, params.commit_frequent, params.commit_share, params.doubt_deviations
        )

    @torch.inference_mode()
    def decode(self, observed: Observation, *, trace: bool = False) -> DecodeResult:
        """Read texts back; known units are not looked at. See ``DecodingAlgorithm``."""
        run = self._start(observed, trace=trace)
        for number in range(self.params.rounds):
            self._find_eos(run)
            self._finish(run)
            if not len(run.active):
                break
            self._round(run, last=number == self.params.rounds - 1)
        return _result(run)

    def _start(self, observed: Observation, *, trace: bool) -> _Run:
        device, batch = self.codebook.device, len(observed)
        log_length = log_length_prior(self.prior, observed, self.codebook.binding.positions)
        length = length_posterior(observed, self.codebook, log_length).argmax(dim=1)
        belief = BeliefState.of_lengths(self.codebook, length)
        rows = torch.arange(batch, device=device)
        recorder = TraceRecorder(observed.order) if trace else None
        if recorder is not None:
            recorder.record_eos(belief, rows)
        searches = torch.zeros(batch, 0, dtype=torch.int64, device=device)
        run = _Run(
            observed=observed,
            belief=belief,
            log_length=log_length,
            scores=observed.order.new_zeros(batch, 0),
            searches=searches,
            revisions=torch.zeros(batch, dtype=torch.int64, device=device),
            active=rows,
            recorder=recorder,
        )
        run.widen(int(length.max()) if batch else 0)
        return run

    def _estimate(self, run: _Run, rows: Tensor) -> NoiseEstimate:
        return estimate_noise(run.observed, run.belief, rows, complete=run.belief.complete(rows))

    def _find_eos(self, run: _Run) -> None:
        """Move EOS where its posterior is better at another position."""
        rows, belief, eos_codes = run.active, run.belief, self.codebook.eos_codes
        estimate = self._estimate(run, rows)
        without = estimate.residual + eos_codes[belief.length[rows]]
        evidence = without @ eos_codes.T - self.codebook.eos_energies / 2
        found = (evidence / estimate.variance[:, None] + run.log_length[rows]).argmax(dim=1)
        moved = found != belief.length[rows]
        if moved.any():
            belief.move_eos(rows[moved], found[moved])
            run.widen(int(belief.length.max()))
            if run.recorder is not None:
                run.recorder.record_eos(belief, rows[moved])

    def _finish(self, run: _Run) -> None:
        """Retire texts that are complete and verified, or have been examined often enough."""
        rows, belief = run.active, run.belief
        fits = fit(run.observed.order[rows], belief.total[rows])
        certain = verified(fits, belief.length[rows], self.codebook.min_distance)
        examined = run.revisions[rows] >= self.params.revisions
        run.active = rows[~(belief.complete(rows) & (certain | examined))]

    def _round(self, run: _Run, *, last: bool) -> None:
        """Search open positions and doubtful commits; commit what is sure and guess the rest."""
        rows, belief = run.active, run.belief
        estimate = self._estimate(run, rows)
        n = max(int(belief.length[rows].max()), 1)
        run.widen(n)
        is_open = belief.open(rows, n)
        complete = ~is_open.any(dim=1)
        asked = is_open | (self._doubtful(run, rows, estimate, n) & complete[:, None])
        run.revisions[rows[complete]] += 1
        run.revisions[rows[complete & ~asked.any(dim=1)]] = self.params.revisions
        if not asked.any():
            return
        queries = self._queries(run, rows, estimate, asked, is_open)
        units, marginals = self.search.posterior(queries)
        divergence = self._commit(run, rows, queries, units, marginals, last=last)
        belief.memory[rows] = onsager(estimate, divergence)
        run.searches[rows[queries.rows], queries.positions] += 1

    def _doubtful(self, run: _Run, rows: Tensor, estimate: NoiseEstimate, n: int) -> Tensor:
        """Tell which commits of complete texts have too little evidence of their own. Shape: (b, n) bool."""
        belief = run.belief
        committed = belief.committed[rows, :n] & belief.complete(rows)[:, None]
        which, positions = committed.nonzero(as_tuple=True)
        bound = self.codebook.binding.bind(belief.means[rows[which], positions], positions)
        energy = self.codebook.energies[belief.units[rows[which], positions, 0]]
        strength = 1.0 + (bound * estimate.residual[which]).sum(dim=1) / energy
        doubtful = torch.zeros_like(committed)
        doubtful[which, positions] = self.placer.doubts(strength, estimate.variance[which] / energy)
        return doubtful

    def _queries(self, run: _Run, rows: Tensor, estimate: NoiseEstimate, asked: Tensor, is_open: Tensor) -> Queries:
        """Evidence and prior at the asked positions, and how widely each is searched."""
        which, positions = asked.nonzero(as_tuple=True)
        place = Positions(rows, which, positions)
        evidence = evidence_at(place, asked.shape[1], run.observed, run.belief, estimate, self.prior)
        high_noise = evidence.variance * self.codebook.width > self.params.low_noise
        fresh = run.searches[rows[which], positions] < self.params.frequent_only_rounds
        return Queries(
            rows=which,
            positions=positions,
            natural=evidence.natural,
            prior=evidence.queries,
            variance=evidence.variance,
            current=run.belief.units[rows[which], positions, 0],
            frequent_only=is_open[which, positions] & high_noise & fresh,
        )

    def _commit(
        self, run: _Run, active: Tensor, queries: Queries, units: Tensor, marginals: Tensor, *, last: bool
    ) -> Tensor:
        """Commit the sure pairs, or the easiest where nothing is sure, and keep the rest as guesses.

        Returns:
            Sum of ``g - |m|²`` over each text's guesses, see ``onsager``. Shape: (b,).
        """
        probability, choice = marginals.max(dim=1)
        best = units.gather(1, choice[:, None])[:, 0]
        commit = self.placer.commits(queries.rows, probability, queries.frequent_only)
        if last:
            commit = torch.ones_like(commit)
        rows = active[queries.rows]
        run.scores[rows, queries.positions] = probability
        divergence = self._guess(run, rows, queries, units, marginals, ~commit, len(active))
        order = commit.nonzero()[:, 0]
        order = order[torch.argsort(-probability[order], stable=True)]
        pairs = (rows[order], queries.positions[order], best[order])
        if run.recorder is not None:
            run.recorder.commit(run.belief, *pairs, probability[order])
        else:
            run.belief.commit(*pairs)
        return divergence

    def _guess(
        self, run: _Run, rows: Tensor, queries: Queries, units: Tensor, marginals: Tensor, chosen: Tensor, batch: int
    ) -> Tensor:
        """Put posterior means at the chosen positions; returns their divergence by text. Shape: (batch,)."""
        weights, places = marginals[chosen].topk(min(_MEAN_OF, units.shape[1]), dim=1)
        guessed = units[chosen].gather(1, places)
        means = torch.bmm(weights[:, None, :], self.codebook.embed(guessed))[:, 0]
        kept = slice(TOP_K)
        run.belief.put(rows[chosen], queries.positions[chosen], guessed[:, kept], weights[:, kept], means)
        energy = (weights * self.codebook.energies[guessed.clamp_min(0)]).sum(dim=1)
        spread = energy - means.square().sum(dim=1)
        return marginals.new_zeros(batch).index_add_(0, queries.rows[chosen], spread)


def _result(run: _Run) -> DecodeResult:
    belief, lengths = run.belief, run.belief.length.tolist()
    everything = torch.arange(len(lengths), device=run.active.device)
    rows = zip(belief.units[:, :, 0].tolist(), run.scores.tolist(), lengths, strict=True)
    pairs = [[(u, s) for u, s in zip(units[:n], scores[:n], strict=True) if u != OPEN] for units, scores, n in rows]
    fits = fit(run.observed.order, belief.total)
    certain = verified(fits, belief.length, belief.codebook.min_distance) & belief.complete(everything)
    return DecodeResult(
        units=[[unit for unit, _ in row] for row in pairs],
        scores=[[score for _, score in row] for row in pairs],
        fit=fits,
        verified=certain,
        steps=run.recorder.steps if run.recorder is not None else [[] for _ in pairs],
    )
