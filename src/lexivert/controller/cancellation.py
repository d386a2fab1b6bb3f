"""Hard interference cancellation: decode all positions, subtract the others' units, decode again, until stable.

After Frady, Kleyko & Sommer (2018). It knows neither a prior nor how sure it is. EOS is found anew in every pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.observation import Observation
from lexivert.controller.one_shot import OneShot, nearest_units, places, result_of
from lexivert.controller.results import DecodeResult
from lexivert.search.unit_index import UnitIndex

MAX_PASSES = 12


@dataclass(frozen=True)
class Cancellation:
    """Cancels interference without prior or learning.

    Attributes:
        index: nearest units.
        codebook: codes and binding.
    """

    index: UnitIndex
    codebook: Codebook

    @torch.inference_mode()
    def decode(self, observed: Observation, *, trace: bool = False) -> DecodeResult:  # noqa: ARG002 nothing is rebuilt
        """Read texts back; scores are the cosines of evidence and code. See ``DecodingAlgorithm``."""
        start = OneShot(self.index, self.codebook).decode(observed)
        texts, scores = start.units, start.scores
        moving = list(range(len(texts)))
        for _ in range(MAX_PASSES):
            units, cosines = self._pass(observed.order[moving], [texts[row] for row in moving])
            changed = [row for row, text in zip(moving, units, strict=True) if text != texts[row]]
            for row, text, own in zip(moving, units, cosines, strict=True):
                texts[row], scores[row] = text, own
            moving = changed
            if not moving:
                break
        return result_of(observed, texts, scores, self.codebook)

    def _pass(self, order: Tensor, texts: list[list[int]]) -> tuple[list[list[int]], list[list[float]]]:
        """Decode all positions once more. Shape: order (b, O)."""
        eos_codes = self.codebook.eos_codes
        total = self.codebook.superpose(texts)
        scale = total.square().sum(dim=1) / (order * total).sum(dim=1).clamp_min(1e-6)
        residual = scale[:, None] * order - total
        evidence = (residual + eos_codes[[len(text) for text in texts]]) @ eos_codes.T
        evidence -= self.codebook.eos_energies / 2
        lengths: list[int] = evidence.argmax(dim=1).tolist()
        return nearest_units(self._leave_one_out(residual, texts, lengths), lengths, self.index)

    def _leave_one_out(self, residual: Tensor, texts: list[list[int]], lengths: list[int]) -> Tensor:
        """Each position's evidence with all other units subtracted. Shape: residual (b, O), result (Σ lengths, O)."""
        rows, positions = places(lengths, residual.device)
        effective = self.codebook.binding.unbind(residual[rows], positions)
        padded = [(text + [0] * length)[:length] for text, length in zip(texts, lengths, strict=True)]
        known = [place < len(text) for text, length in zip(texts, lengths, strict=True) for place in range(length)]
        units = torch.tensor([unit for text in padded for unit in text], dtype=torch.int64, device=residual.device)
        weights = torch.tensor(known, dtype=torch.float32, device=residual.device)
        return effective + self.codebook.embed(units) * weights[:, None]
