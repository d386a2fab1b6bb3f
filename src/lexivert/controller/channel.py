"""What is known exactly about a partly decoded vector: its scale, residual, noise and each position's evidence.

Nothing here is learned. With the units committed so far subtracted, the rest of the vector is noise plus the units
still open; unbinding it at a position gives that position's code in nearly Gaussian noise (Frady, Kleyko & Sommer
2018), whose variance the residual's length tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_COSINE_GUESS = 0.95  # a vector's cosine with the clean one, before anything is decoded
_COSINE_SPREAD = 0.2
_COSINE_RANGE = (0.2, 1.05)


@dataclass(frozen=True)
class Channel:
    """Exact facts of B half-decoded vectors.

    Attributes:
        scale: factor that brings the unit-length vector back to a plain sum of unit codes. Shape: (B,).
        residual: scaled vector less the committed sum. Shape: (B, O).
        variance: noise per dimension that an open position sees. Shape: (B,).
    """

    scale: Tensor
    residual: Tensor
    variance: Tensor


def observe(target: Tensor, total: Tensor, length: Tensor, known: Tensor) -> Channel:
    """Work out the channel from a vector and the sum of what is committed.

    The clean sum has squared length about n + 1, as codes at different positions are nearly orthogonal. How far the
    vector lies from it is measured by the committed units, and weighed against a guess while they are few.

    Args:
        target: given order parts, unit length. Shape: (B, O).
        total: weighted sum of the bound codes known so far, END included. Shape: (B, O).
        length: units in the text, END not counted, as now believed. Shape: (B,).
        known: sum of the squared weights in ``total``; n + 1 when every unit is committed. Shape: (B,).
    """
    width = target.shape[1]
    clean = torch.sqrt(length.float() + 1.0)
    energy = total.square().sum(dim=1).clamp_min(1e-6)
    measured = (target * total).sum(dim=1) * clean / energy
    measured_precision = known * width / (length.float() + 1.0)
    guess_precision = 1.0 / _COSINE_SPREAD**2
    cosine = (measured * measured_precision + _COSINE_GUESS * guess_precision) / (
        measured_precision + guess_precision
    )
    complete = known > length.float() + 0.999
    least_squares = energy / (target * total).sum(dim=1).clamp_min(1e-6)
    scale = torch.where(complete, least_squares, clean / cosine.clamp(*_COSINE_RANGE))
    residual = scale[:, None] * target - total
    variance = residual.square().sum(dim=1) / width
    return Channel(scale, residual, variance.clamp_min(1e-7))


def fit(target: Tensor, total: Tensor) -> Tensor:
    """Cosine between given vectors and decoded sums: 1 proves a noise-free decode.

    Shape: two (B, O), result (B,).
    """
    cosine: Tensor = (target * total).sum(dim=1) / total.norm(dim=1).clamp_min(1e-12)
    return cosine
