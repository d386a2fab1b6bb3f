"""One-shot unbinding, the weakest decoder: every position unbound once, its nearest unit taken (Plate 1995)."""

from __future__ import annotations

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.lengths import length_evidence
from lexivert.controller.observation import Observation
from lexivert.controller.results import DecodeResult
from lexivert.controller.verification import fit, verified
from lexivert.search.unit_index import UnitIndex


class OneShot:
    """Unbinds once. The length is where EOS's evidence is strongest, as in the other decoders' first step.

    Args:
        index: nearest units.
        codebook: codes and binding.
    """

    def __init__(self, index: UnitIndex, codebook: Codebook) -> None:
        self.index = index
        self.codebook = codebook

    @torch.inference_mode()
    def decode(self, observed: Observation, *, trace: bool = False) -> DecodeResult:  # noqa: ARG002 nothing is rebuilt
        """Read texts back; scores are the cosines of evidence and code. See ``DecodingAlgorithm``."""
        lengths = length_evidence(observed.order, self.codebook.eos_codes).argmax(dim=1).tolist()
        rows, positions = places(lengths, self.codebook.device)
        effective = self.codebook.binding.unbind(observed.order[rows], positions)
        return result_of(observed, *nearest_units(effective, lengths, self.index), self.codebook)


def places(lengths: list[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Row and position of every unit of texts of these lengths. Shape: two (Σ lengths,)."""
    counts = torch.tensor(lengths, dtype=torch.int64, device=device)
    rows = torch.repeat_interleave(torch.arange(len(lengths), device=device), counts)
    starts = torch.cumsum(counts, 0) - counts
    return rows, torch.arange(len(rows), device=device) - starts[rows]


def nearest_units(
    effective: Tensor, lengths: list[int], index: UnitIndex
) -> tuple[list[list[int]], list[list[float]]]:
    """Nearest unit of every position by exact search, and its cosine, cut into texts. Shape: (Σ lengths, O)."""
    if not len(effective):
        return [[] for _ in lengths], [[] for _ in lengths]
    hits = index.nearest(effective, 1)
    units = [part.tolist() for part in torch.split(hits.units[:, 0], lengths)]
    cosines = [part.tolist() for part in torch.split(hits.scores[:, 0].clamp(0.0, 1.0), lengths)]
    return units, cosines


def result_of(
    observed: Observation, units: list[list[int]], scores: list[list[float]], codebook: Codebook
) -> DecodeResult:
    """Texts that were found, with the fit of their re-encoding."""
    total = codebook.superpose(units)
    fits = fit(observed.order, total)
    lengths = torch.tensor([len(text) for text in units], device=fits.device)
    certain = verified(fits, lengths, codebook.min_distance)
    return DecodeResult(units, scores, fits, certain, [[] for _ in units])
