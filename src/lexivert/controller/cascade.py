"""The cascade: easy-first decoding where dimensions abound, else message passing, then restarts until verified.

Vectors with many dimensions a unit (the underloaded regime) are read by committing the surest units first, which is
quick and, measured, best in noise. Where dimensions are scarce, message passing over all positions at once reads
more.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lexivert.controller.amp import AmpDecoder
from lexivert.controller.base import Parts
from lexivert.controller.easy_first import EasyFirst
from lexivert.controller.energy_split import EnergySplit
from lexivert.controller.hypotheses import BestHypotheses
from lexivert.controller.lengths import length_posterior, log_length_prior
from lexivert.controller.observation import Observation
from lexivert.controller.restarts import Restarts
from lexivert.controller.results import DecodeResult, Step
from lexivert.controller.trace import replay


class Cascade:
    """Reads vectors back, each by the algorithm that suits its load.

    Args:
        parts: codebook, index, prior, rules.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.codebook = parts.codebook
        self.easy_first = EasyFirst(parts.index, parts.codebook, parts.prior, parts.params.easy_first)
        self.amp = AmpDecoder(parts.index, parts.codebook, parts.prior, parts.params.amp)
        self.restarts = Restarts(parts)

    @torch.inference_mode()
    def decode(self, observed: Observation, *, trace: bool = False) -> DecodeResult:
        """Read texts back, by the algorithm that suits each vector; see ``DecodingAlgorithm``."""
        best = BestHypotheses(len(observed), self.codebook.width, self.codebook.log_prior)
        steps: list[list[Step]] = [[] for _ in range(len(observed))]
        underloaded = self._underloaded(observed)
        rows = underloaded.nonzero()[:, 0]
        if len(rows):
            found = self.easy_first.decode(observed[rows], trace=trace)
            best.keep_better(rows, found)
            for row, own in zip(rows.tolist(), found.steps, strict=True):
                steps[row] = own
        again = underloaded & self._failed(best, observed)
        rows = (~underloaded | again).nonzero()[:, 0]
        if len(rows):
            self._pass_messages(best, rows, observed)
            for row in rows.tolist() if trace else ():
                steps[row] = replay(observed.order[row : row + 1], self.codebook, best.units[row], best.scores[row])
        return DecodeResult(best.units, best.scores, best.fit, best.verified, steps)

    def _underloaded(self, observed: Observation) -> Tensor:
        """Tell which vectors have dimensions in plenty for the length they seem to have. Shape: (B,) bool."""
        if observed.known is not None:
            return torch.zeros(len(observed), dtype=torch.bool, device=self.codebook.device)
        log_prior = log_length_prior(self.parts.prior, observed, self.codebook.binding.positions)
        length = length_posterior(observed, self.codebook, log_prior).argmax(dim=1)
        enough = (length + 1) * self.parts.params.cascade.underloaded_from <= self.codebook.width
        return enough & observed.order.any(dim=1)

    def _failed(self, best: BestHypotheses, observed: Observation) -> Tensor:
        """Tell which texts are unsure and leave more than the noise that their vectors show. Shape: (B,) bool."""
        sure = [min(scores, default=0.0) >= self.parts.params.cascade.sure for scores in best.scores]
        unexplained = EnergySplit.of(observed, self.codebook.semantic_share).explains(best.fit) == 0.0
        return unexplained & ~best.verified & ~torch.tensor(sure, device=best.fit.device, dtype=torch.bool)

    def _pass_messages(self, best: BestHypotheses, rows: Tensor, observed: Observation) -> None:
        """Message passing; then, where nothing is verified, restarts."""
        found = self.amp.run(observed[rows])
        best.keep_better(rows, found)
        if not self.parts.params.cascade.restarts:
            return
        for place, likely in self.restarts.unsure(found, observed[rows]).items():
            row = int(rows[place])
            one = observed[slice(row, row + 1)]
            for count, texts in self.restarts.run(one, likely, found.units[place], float(found.fit[place])):
                best.keep_better(rows[place].expand(count), texts)
                if best.verified[row]:
                    break
