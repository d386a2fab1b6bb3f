"""A decoding algorithm: Gibbs sampling with annealing (Geman & Geman 1984).

Units are drawn anew, block by block, from their posterior given the units of all other positions: those codes are
subtracted from the vector, what is left is unbound and compared with all units. The noise that a position sees is
what the vector leaves unexplained, so that a chain cools down by itself as its units become right; the last sweeps
take the likeliest unit in place of a draw (iterated conditional modes, Besag 1986).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lexivert.controller.base import Parts
from lexivert.controller.belief import BeliefState
from lexivert.controller.evidence import Evidence
from lexivert.controller.hypotheses import BestHypotheses
from lexivert.controller.lengths import length_evidence, log_length_prior
from lexivert.controller.noise import estimate_noise
from lexivert.controller.observation import Observation
from lexivert.controller.one_shot import result_of
from lexivert.controller.posterior import IndexPosterior
from lexivert.controller.registry import DECODERS
from lexivert.controller.results import DecodeResult
from lexivert.controller.trace import replay

CHAINS = 6
"""Chains that are run for a text until one is verified; each begins with another length, the likeliest first."""
STRIDE = 4
"""Every so many positions are drawn at once: they interfere too little with each other to go one by one."""
SWEEPS, MODES = 8, 2
"""Sweeps of a chain, and how many of them at the end take the likeliest unit."""


@DECODERS.register("gibbs", label="Gibbs sampling")
class GibbsSampling:
    """Reads vectors back by drawing units from their conditional posteriors.

    Args:
        parts: codebook, index, prior, rules.
    """

    def __init__(self, parts: Parts) -> None:
        self.codebook = parts.codebook
        self.prior = parts.prior
        self.source = IndexPosterior(parts.index, parts.prior, parts.params.amp.candidates)

    @torch.inference_mode()
    def decode(self, observed: Observation, *, trace: bool = False) -> DecodeResult:
        """Read texts back; see ``DecodingAlgorithm``."""
        codebook, lengths = self.codebook, self._likely_lengths(observed)
        best = BestHypotheses(len(observed), codebook.width, codebook.log_prior)
        generator = torch.Generator().manual_seed(0)
        rows = torch.arange(len(observed), device=codebook.device)
        for chain in range(CHAINS):
            if len(rows):  # draws are the same for every text, whatever stands beside it
                draws = torch.rand(SWEEPS, codebook.binding.positions, generator=generator)
                best.keep_better(rows, self._run(observed[rows], lengths[rows, chain], draws))
                rows = (~best.verified).nonzero()[:, 0]
        texts, orders = enumerate(zip(best.units, best.scores, strict=True)), observed.order[:, None]
        steps = [replay(orders[row], codebook, *text) if trace else [] for row, text in texts]
        return DecodeResult(best.units, best.scores, best.fit, best.verified, steps)

    def _likely_lengths(self, observed: Observation) -> Tensor:
        """Lengths by evidence of EOS and prior. Shape: (B, CHAINS)."""
        evidence = length_evidence(observed.order, self.codebook.eos_codes)
        evidence = evidence + log_length_prior(self.prior, observed, evidence.shape[1])
        return evidence.topk(CHAINS, dim=1).indices

    def _run(self, observed: Observation, length: Tensor, draws: Tensor) -> DecodeResult:
        """Run a chain for each text. Shape: length (B,), draws (sweeps, positions) in 0 to 1."""
        belief = BeliefState.of_lengths(self.codebook, length)
        places = torch.arange(self.codebook.binding.positions, device=length.device)
        scores = observed.order.new_zeros(len(observed), len(places))
        draws[-MODES:] = 0.0
        for number, sweep in enumerate(draws.to(length.device)):
            if number:
                self._move_eos(observed, belief)
            belief.widen(int(belief.length.max()))
            for first in range(STRIDE):
                block = (places % STRIDE == first) & (places < belief.length[:, None])
                rows, positions = block.nonzero(as_tuple=True)
                units, scores[rows, positions] = self._draw(observed, belief, rows, positions, sweep[positions])
                belief.commit(rows, positions, units)
        lengths = belief.length.tolist()
        texts = [row[:n] for row, n in zip(belief.units[:, :, 0].tolist(), lengths, strict=True)]
        probabilities = [row[:n] for row, n in zip(scores.tolist(), lengths, strict=True)]
        return result_of(observed, texts, probabilities, self.codebook)

    def _move_eos(self, observed: Observation, belief: BeliefState) -> None:
        """Move EOS to where it has most evidence, given all units."""
        everything = torch.arange(len(observed), device=belief.length.device)
        effective = estimate_noise(observed, belief, everything).residual + self.codebook.eos_codes[belief.length]
        evidence = effective @ self.codebook.eos_codes.T - self.codebook.eos_energies / 2
        belief.move_eos(everything, _behind_known(observed, evidence).argmax(dim=1))

    def _draw(
        self, observed: Observation, belief: BeliefState, rows: Tensor, positions: Tensor, draws: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Units of some positions, given those of all others, and their probabilities.

        Args:
            observed: all texts.
            belief: the units of all positions.
            rows: text of each position. Shape: (m,).
            positions: Shape: (m,).
            draws: uniform in 0 to 1; 0 takes the likeliest unit. Shape: (m,).

        Shape: two (m,).
        """
        everything = torch.arange(len(observed), device=rows.device)
        estimate = estimate_noise(observed, belief, everything)
        effective = self.codebook.binding.unbind(estimate.residual[rows], positions) + belief.means[rows, positions]
        variance = estimate.variance[rows]
        seen = belief.view(everything, belief.positions, observed.prefix, estimate.prefix_cosine)
        queries = self.prior.queries(seen)[rows, positions]
        found = self.source.posterior(Evidence(effective / variance[:, None], queries, variance), 1)
        sums = found.marginals.cumsum(dim=1)  # the likeliest unit first
        place = (sums < draws[:, None] * sums[:, -1:]).sum(dim=1, keepdim=True)
        units, probability = found.units.gather(1, place)[:, 0], found.marginals.gather(1, place)[:, 0]
        if observed.known is not None:
            known = observed.known[rows, positions]
            units, probability = torch.where(known < 0, units, known), probability.masked_fill(known >= 0, 1.0)
        return units, probability


def _behind_known(observed: Observation, evidence: Tensor) -> Tensor:
    """Evidence of lengths, but not of those of fewer units than are known. Shape: (B, positions)."""
    if observed.known is None:
        return evidence
    known = (observed.known >= 0).sum(dim=1, keepdim=True)
    return evidence.masked_fill(torch.arange(evidence.shape[1], device=known.device) < known, -torch.inf)
