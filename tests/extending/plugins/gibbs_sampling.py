"""A decoding algorithm: Gibbs sampling with annealing (Geman & Geman 1984).

One position after the other is drawn anew from its posterior given the units of all others: their codes are
subtracted from the vector, what is left is unbound and compared with all units. The noise that a position sees is
what the vector leaves unexplained, so that a chain cools down by itself as its units become right; the last sweeps
take the likeliest unit in place of a draw (iterated conditional modes, Besag 1986).
"""

from __future__ import annotations

import torch
from torch import Tensor

from lexivert.controller.base import Parts
from lexivert.controller.belief import BeliefState
from lexivert.controller.hypotheses import BestHypotheses
from lexivert.controller.noise import estimate_noise, length_evidence
from lexivert.controller.observation import Observation
from lexivert.controller.one_shot import result_of
from lexivert.controller.posterior import IndexPosterior
from lexivert.controller.registry import DECODERS
from lexivert.controller.results import DecodeResult
from lexivert.controller.trace import replay
from lexivert.priors.base import Belief

CHAINS = 4
"""Chains that are run for a text until one is verified; each begins with the next likely length."""
SWEEPS, MODES = 12, 3
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
        codebook = self.codebook
        best = BestHypotheses(len(observed), codebook.width, codebook.log_prior)
        generator = torch.Generator().manual_seed(0)
        rows = torch.arange(len(observed), device=codebook.device)
        for chain in range(CHAINS):
            if len(rows):  # draws are the same for every text, whatever stands beside it
                draws = torch.rand(SWEEPS, codebook.binding.positions, generator=generator)
                best.keep_better(rows, self._run(observed[rows], draws, chain))
                rows = (~best.verified).nonzero()[:, 0]
        found = zip(observed.order.split(1), best.units, best.scores, strict=True)
        steps = [replay(order, codebook, units, scores) if trace else [] for order, units, scores in found]
        return DecodeResult(best.units, best.scores, best.fit, best.verified, steps)

    def _run(self, observed: Observation, draws: Tensor, chain: int) -> DecodeResult:
        """Run a chain for each text. Shape: draws (sweeps, positions), in 0 to 1."""
        eos_codes, rows = self.codebook.eos_codes, torch.arange(len(observed), device=self.codebook.device)
        nothing = Belief.empty(1, torch.ones_like(rows), observed.prefix)
        evidence = length_evidence(observed.order, eos_codes)
        evidence = evidence + self.prior.log_length(nothing, evidence.shape[1])
        length = _likely_lengths(observed, evidence)[:, chain]
        belief = BeliefState.of_lengths(self.codebook, length)
        scores = torch.zeros(observed.order.shape[0], self.codebook.binding.positions)
        for sweep, own in enumerate(draws.tolist()):
            if sweep:
                without_eos = estimate_noise(observed, belief, rows).residual + eos_codes[belief.length]
                belief.move_eos(rows, _likely_lengths(observed, without_eos @ eos_codes.T)[:, 0])
            for position in range(int(belief.length.max())):
                inside = rows[belief.length > position]
                draw = own[position] if sweep < SWEEPS - MODES else None
                units, probability = self._draw(observed, belief, inside, position, draw)
                belief.commit(inside, torch.full_like(inside, position), units)
                scores[inside.cpu(), position] = probability.cpu()
        texts, probabilities = (
            [row[:n] for row, n in zip(part.tolist(), belief.length.tolist(), strict=True)]
            for part in (belief.units[:, :, 0], scores)
        )
        return result_of(observed, texts, probabilities, self.codebook)

    def _draw(
        self, observed: Observation, belief: BeliefState, rows: Tensor, position: int, draw: float | None
    ) -> tuple[Tensor, Tensor]:
        """Units of one position of some texts, drawn or, without a draw, the likeliest; and their probabilities.

        Shape: rows (b,), result two (b,).
        """
        belief.widen(position + 1)
        positions = torch.full_like(rows, position)
        estimate = estimate_noise(observed, belief, rows)
        effective = self.codebook.binding.unbind(estimate.residual, positions) + belief.means[rows, positions]
        seen = belief.view(rows, belief.positions, observed.prefix[rows], estimate.prefix_cosine)
        queries = self.prior.queries(seen)[:, position]
        found = self.source.posterior(effective / estimate.variance[:, None], queries, 1)
        sums = found.marginals.cumsum(dim=1)  # the likeliest unit first
        place = (sums < (draw or 0.0) * sums[:, -1:]).sum(dim=1, keepdim=True)
        units, probability = found.units.gather(1, place)[:, 0], found.marginals.gather(1, place)[:, 0]
        if observed.known is not None:
            known = observed.known[rows, position]
            units, probability = torch.where(known < 0, units, known), probability.masked_fill(known >= 0, 1.0)
        return units, probability


def _likely_lengths(observed: Observation, evidence: Tensor) -> Tensor:
    """Where EOS has most evidence, behind all units that are known. Shape: (B, positions) to (B, CHAINS)."""
    if observed.known is not None:
        lengths = torch.arange(evidence.shape[1], device=evidence.device)
        evidence = evidence.masked_fill(lengths < (observed.known >= 0).sum(dim=1, keepdim=True), -torch.inf)
    return evidence.topk(CHAINS, dim=1).indices
