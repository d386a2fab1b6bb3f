"""Verification: whether re-encoding what was read gives the very vector, and what a wrong reading leaves behind."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

_TOLERANCE = 2.0e-5  # most that a verified text's cosine may fall short of 1: rounding to half floats costs less
_ROUNDING = 1.0e-6  # float32's own error in a cosine; nothing finer can be told


def fit(order: Tensor, total: Tensor) -> Tensor:
    """Cosine between given vectors and re-encoded sums: 1 verifies a noise-free decode.

    Shape: two (B, O), result (B,).
    """
    cosine: Tensor = (order * total).sum(dim=1) / total.norm(dim=1).clamp_min(1e-12)
    return cosine


def verified(fits: Tensor, length: Tensor, min_distance: float) -> Tensor:
    """Tell which fits are a certificate of the text: no other text comes as near to the vector.

    The nearest other text has one unit replaced by its nearest codeword, whose cosine with it is
    ``1 - min_distance``; among n + 1 units that moves the sum's cosine to about ``1 - min_distance / (n + 1)``. A
    quarter of that distance is enough.

    Args:
        fits: cosine of each text's re-encoding. Shape: (B,).
        length: its units. Shape: (B,).
        min_distance: see ``Codebook``; with 0 nothing is ever verified, since units may share a code.

    Shape: (B,) bool.
    """
    margin = (min_distance / (4.0 * (length + 1.0))).clamp(max=_TOLERANCE)
    return (margin > _ROUNDING) & (fits >= 1.0 - margin)


def second_eos_score(order: Tensor, total: Tensor, eos_codes: Tensor) -> Tensor:
    """Strongest evidence of a second EOS, or of one taken off, in what a text leaves of the vector.

    It is told in deviations of Gaussian noise, which shows about 3 at the best of 257 positions. A blend of two
    texts' vectors, or their difference, read as one of them, leaves the other, and shows ``sqrt(g O / (n + g))``
    where that text of n units ends, g being EOS's energy there.

    Args:
        order: order parts, unit length. Shape: (B, O).
        total: sums of the texts read. Shape: (B, O).
        eos_codes: EOS's code at every position. Shape: (N, O).

    Shape: (B,).
    """
    explained = total / total.norm(dim=1, keepdim=True).clamp_min(1e-12)
    residual = order - (order * explained).sum(dim=1, keepdim=True) * explained
    deviation = residual.norm(dim=1).clamp_min(1e-6) / order.shape[1] ** 0.5
    strongest: Tensor = (residual @ F.normalize(eos_codes, dim=1).T).abs().amax(dim=1) / deviation
    return strongest


def lowest_eos_score(order: Tensor, eos_codes: Tensor) -> Tensor:
    """Deviations by which EOS's evidence at some position is below 0: a text has EOS once, and no less than that.

    Where a text was subtracted, as in a difference or a negated vector, it is far below.

    Args:
        order: given, unit length. Shape: (B, O).
        eos_codes: EOS's code at every position. Shape: (P, O).

    Shape: (B,).
    """
    lowest: Tensor = (order @ F.normalize(eos_codes, dim=1).T).amin(dim=1) * order.shape[1] ** 0.5
    return lowest
