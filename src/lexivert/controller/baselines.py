"""Decoders without a prior: one-shot unbinding and hard interference cancellation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import bound_eos_codes
from lexivert.codes.superposition import superpose
from lexivert.controller.noise import length_evidence
from lexivert.search.faiss_index import UnitIndex

MAX_PASSES = 12


def one_shot(order: Tensor, index: UnitIndex, binding: RotaryBinding) -> list[list[int]]:
    """Unbind every position once and take the nearest unit: the weakest decoder (Plate 1995).

    The length is where EOS's evidence is strongest, as in the controller's first step.

    Shape: order (B, O); result B lists of unit ids.
    """
    target = F.normalize(order, dim=-1)
    lengths = length_evidence(target, bound_eos_codes(torch.from_numpy(index.codes), binding)).argmax(dim=1)
    rows, positions = _places(lengths.tolist())
    return _nearest(binding.unbind(target[rows], positions), lengths.tolist(), index)


def cancellation(order: Tensor, index: UnitIndex, binding: RotaryBinding) -> list[list[int]]:
    """Hard interference cancellation: decode all positions, subtract the others' units, decode again, until stable.

    After Frady, Kleyko & Sommer (2018). It knows neither a prior nor how sure it is. EOS is found anew in every pass.

    Shape: order (B, O); result B lists of unit ids.
    """
    target = F.normalize(order, dim=-1)
    ends = bound_eos_codes(torch.from_numpy(index.codes), binding)
    codes = torch.from_numpy(index.codes)
    texts = one_shot(order, index, binding)
    moving = list(range(len(texts)))
    for _ in range(MAX_PASSES):
        given, held = target[moving], [texts[row] for row in moving]
        total = superpose(held, codes, binding)
        scale = total.square().sum(dim=1) / (given * total).sum(dim=1).clamp_min(1e-6)
        residual = scale[:, None] * given - total
        end_evidence = (residual + ends[[len(text) for text in held]]) @ ends.T
        lengths: list[int] = end_evidence.argmax(dim=1).tolist()
        evidence = _leave_one_out(residual, held, lengths, codes, binding)
        decoded = _nearest(evidence, lengths, index)
        changed = [row for row, text in zip(moving, decoded, strict=True) if text != texts[row]]
        for row, text in zip(moving, decoded, strict=True):
            texts[row] = text
        moving = changed
        if not moving:
            break
    return texts


def _leave_one_out(
    residual: Tensor, held: list[list[int]], lengths: list[int], codes: Tensor, binding: RotaryBinding
) -> Tensor:
    """Each position's evidence with all other units subtracted. Shape: residual (B, O), result (Σ lengths, O)."""
    rows, positions = _places(lengths)
    evidence = binding.unbind(residual[rows], positions)
    kept = [(text + [0] * length)[:length] for text, length in zip(held, lengths, strict=True)]
    known = [(place < len(text)) for text, length in zip(held, lengths, strict=True) for place in range(length)]
    units = torch.tensor([unit for text in kept for unit in text], dtype=torch.int64)
    return evidence + codes[units].float() * torch.tensor(known, dtype=torch.float32)[:, None]


def _places(lengths: list[int]) -> tuple[Tensor, Tensor]:
    """Row and position of every unit of texts of these lengths. Shape: two (Σ lengths,)."""
    counts = torch.tensor(lengths, dtype=torch.int64)
    rows = torch.repeat_interleave(torch.arange(len(lengths)), counts)
    starts = torch.cumsum(counts, 0) - counts
    return rows, torch.arange(len(rows)) - starts[rows]


def _nearest(evidence: Tensor, lengths: list[int], index: UnitIndex) -> list[list[int]]:
    """Nearest unit for every position, by exact search, cut into texts again. Shape: evidence (Σ lengths, O)."""
    if not len(evidence):
        return [[] for _ in lengths]
    found = torch.from_numpy(index.search_exact(F.normalize(evidence, dim=-1).numpy(), 1)[1][:, 0])
    return [units.tolist() for units in torch.split(found, lengths)]
