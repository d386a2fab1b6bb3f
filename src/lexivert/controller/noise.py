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
_PROOF = 2.0e-5  # most that a proven vector's cosine may fall short of 1: rounding to half floats costs less
_ROUNDING = 1.0e-6  # float32's own error in a cosine; nothing finer can be told


@dataclass(frozen=True)
class Channel:
    """Exact facts of B half-decoded vectors.

    Attributes:
        residual: vector, scaled back to a plain sum of unit codes, less the committed sum. Shape: (B, O).
        variance: noise per dimension that an open position sees. Shape: (B,).
        cosine: of the given vector with the clean one, as now believed. Shape: (B,).
    """

    residual: Tensor
    variance: Tensor
    cosine: Tensor


def observe(
    target: Tensor, total: Tensor, length: Tensor, known: Tensor, complete: Tensor, memory: Tensor | None = None
) -> Channel:
    """Work out the channel from a vector and the sum of what is committed.

    The clean sum has squared length about n + 1, as codes at different positions are nearly orthogonal. How far the
    vector lies from it is measured by the committed units, and weighed against a guess while they are few.

    Args:
        target: given order parts, unit length. Shape: (B, O).
        total: weighted sum of the bound codes known so far, EOS included. Shape: (B, O).
        length: units in the text, EOS not counted, as now believed. Shape: (B,).
        known: energy of what is in ``total``; about n + 1 when every unit is committed. Shape: (B,).
        complete: whether every unit is committed, so that least squares give the scale. Shape: (B,) bool.
        memory: added to the residual, see ``onsager``. Shape: (B, O).
    """
    width = target.shape[1]
    count = length.float() + 1.0
    cosine = combined_cosine(target, total, count, known)
    energy = total.square().sum(dim=1)
    least_squares = energy / (target * total).sum(dim=1).clamp_min(1e-6)
    scale = torch.where(complete, least_squares, count.sqrt() / cosine)
    residual = scale[:, None] * target - total
    if memory is not None:
        residual = residual + memory
    variance = residual.square().sum(dim=1) / width
    return Channel(residual, variance.clamp_min(1e-7), (count.sqrt() / scale).clamp(*_COSINE_RANGE))


def length_evidence(target: Tensor, ends: Tensor) -> Tensor:
    """Log likelihood ratio of every length against plain noise, before anything is decoded.

    A vector of n units shows EOS at position n with inner product near ``1 / sqrt(n + 1)``, in noise of deviation
    ``1 / sqrt(O)``.

    Args:
        target: order parts, unit length. Shape: (B, O).
        ends: EOS's code at every position. Shape: (P, O).

    Shape: (B, P).
    """
    expected = torch.arange(1, len(ends) + 1, dtype=target.dtype).rsqrt()
    evidence: Tensor = (target @ ends.T - expected / 2) * expected * target.shape[1]
    return evidence


def combined_cosine(target: Tensor, total: Tensor, count: Tensor, known: Tensor) -> Tensor:
    """Cosine of given vectors with the clean ones: what the known part measures, weighed against a first guess.

    Args:
        target: given, unit length. Shape: (B, O).
        total: sum of what is known. Shape: (B, O).
        count: units of the whole text, EOS included. Shape: (B,).
        known: energy of what is known, ``count`` when all is. Shape: (B,).

    Shape: (B,).
    """
    energy = total.square().sum(dim=1).clamp_min(1e-6)
    measured = (target * total).sum(dim=1) * count.sqrt() / energy
    precision = known * target.shape[1] / count
    guess = 1.0 / _COSINE_SPREAD**2
    cosine: Tensor = (measured * precision + _COSINE_GUESS * guess) / (precision + guess)
    return cosine.clamp(*_COSINE_RANGE)


def prefix_cosine(cosine: Tensor, order_width: int, semantic_width: int, semantic_share: float) -> Tensor:
    """Cosine of a noisy semantic prefix with the clean one, if all dimensions of the vector have the same noise.

    Args:
        cosine: of the order part with the clean one. Shape: (B,).
        order_width: O.
        semantic_width: S.
        semantic_share: energy of the prefix in the clean vector.

    Shape: (B,).
    """
    squared = cosine.clamp(max=1.0).square()
    noise = (1.0 - semantic_share) * (1.0 - squared) / squared / order_width
    return torch.sqrt(semantic_share / (semantic_share + semantic_width * noise).clamp_min(1e-12))


def onsager(channel: Channel, spread: Tensor) -> Tensor:
    """Memory for the next residual: how far guesses followed this one, taken back (AMP's Onsager term).

    Guesses are made of evidence, so that subtracting them leaves less in the residual than their errors add. With a
    posterior mean m of unit codes for a guess, the derivative of the guess by its evidence sums to
    ``(p - |m|²) / variance``, p being the summed probability of the units in the mean (Donoho, Maleki & Montanari
    2009; Rush, Greig & Venkataramanan 2017). That is for exact evidence: what the Selector learns is left out.

    Args:
        channel: that the guesses were made from.
        spread: sum of ``p - |m|²`` over each text's guesses. Shape: (B,).

    Shape: (B, O).
    """
    return channel.residual * onsager_share(spread, channel.residual.shape[1], channel.variance)[:, None]


def onsager_share(spread: Tensor, width: int, variance: Tensor) -> Tensor:
    """Share of the residual that is kept: the guesses' mean derivative by their evidence, at most 1. Shape: (B,)."""
    return (spread / (width * variance)).clamp(0.0, 1.0)


def second_eos_score(target: Tensor, total: Tensor, ends: Tensor) -> Tensor:
    """Strongest evidence of a second EOS in what a text leaves of the vector, in deviations of Gaussian noise.

    Noise shows about 3 at the best of 257 positions. A blend of two texts' vectors, read as one of them, leaves the
    other whole, and shows ``sqrt(O / (n + 1))`` where that text of n units ends.

    Args:
        target: order parts, unit length. Shape: (B, O).
        total: sums of the texts read. Shape: (B, O).
        ends: EOS's code at every position. Shape: (P, O).

    Shape: (B,).
    """
    explained = total / total.norm(dim=1, keepdim=True).clamp_min(1e-12)
    residual = target - (target * explained).sum(dim=1, keepdim=True) * explained
    deviation = residual.norm(dim=1).clamp_min(1e-6) / target.shape[1] ** 0.5
    strongest: Tensor = (residual @ ends.T).amax(dim=1) / deviation
    return strongest


def fit(target: Tensor, total: Tensor) -> Tensor:
    """Cosine between given vectors and decoded sums: 1 proves a noise-free decode.

    Shape: two (B, O), result (B,).
    """
    cosine: Tensor = (target * total).sum(dim=1) / total.norm(dim=1).clamp_min(1e-12)
    return cosine


def proven(quality: Tensor, length: Tensor, min_distance: float) -> Tensor:
    """Tell which fits prove the text: no other text comes as near to the vector.

    The nearest other text has one unit's near twin in its place, whose code lies ``1 - min_distance`` in cosine from it;
    among n + 1 units that moves the sum's cosine to about ``1 - min_distance / (n + 1)``. A quarter of the way is proof.

    Args:
        quality: fit of each text. Shape: (B,).
        length: its units. Shape: (B,).
        min_distance: see ``Codebook``; with 0 nothing is ever proven, since units may share a code.

    Shape: (B,) bool.
    """
    margin = (min_distance / (4.0 * (length + 1.0))).clamp(max=_PROOF)
    return (margin > _ROUNDING) & (quality >= 1.0 - margin)
