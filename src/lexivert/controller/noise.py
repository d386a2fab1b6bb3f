"""The noise estimate of a half-decoded vector: its scale, effective observation, noise variance and cosine.

Nothing here is learned. With what is believed of a text subtracted, the rest of its vector is noise plus what the
belief lacks; unbinding it at a position gives that position's code in nearly Gaussian noise (Frady, Kleyko & Sommer
2018), whose variance the residual's length tells. Both loops of the controller use this one estimator.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.controller.belief import BeliefState
from lexivert.controller.observation import Observation

_PRIOR_COSINE = 0.95  # a vector's cosine with the clean one, before anything is decoded
_PRIOR_DEVIATION = 0.2
_COSINE_RANGE = (0.2, 1.05)
_MIN_VARIANCE = 1.0e-5  # of a vector without noise; rounding to half floats leaves as much


@dataclass(frozen=True)
class NoiseEstimate:
    """What B half-decoded vectors show of their noise.

    Attributes:
        residual: vector, scaled to a plain sum of unit codes, less what is believed, plus the memory of the last
            round (AMP's Onsager term). Shape: (B, O).
        variance: noise per dimension that a position sees. Shape: (B,).
        cosine: of the given order part with the clean one, as now estimated. Shape: (B,).
        prefix_cosine: of the semantic prefix with the clean one, 0 where there is none. Shape: (B,).
    """

    residual: Tensor
    variance: Tensor
    cosine: Tensor
    prefix_cosine: Tensor


def estimate_noise(
    observed: Observation,
    belief: BeliefState,
    rows: Tensor,
    *,
    complete: Tensor | None = None,
    variance_scale: Tensor | float = 1.0,
) -> NoiseEstimate:
    """Estimate the noise of some vectors from what is believed of their texts.

    The clean sum has the energy of all its codes, as codes at different positions are nearly orthogonal. How far the
    vector lies from it is measured by the believed part, and weighed against a prior guess while that part is small.

    Args:
        observed: all vectors.
        belief: about all texts.
        rows: the vectors that are asked for. Shape: (b,).
        complete: texts with a committed unit at every position: least squares give their scale. Shape: (b,) bool.
        variance_scale: factor on the variance; above 1 the posteriors are softer. Shape: (b,).
    """
    order, total = observed.order[rows], belief.total[rows]
    energy = belief.expected_energy(rows)
    cosine = _combined_cosine(order, total, energy, belief.believed_energy(rows))
    scale = energy.sqrt() / cosine
    if complete is not None:
        least_squares = total.square().sum(dim=1) / (order * total).sum(dim=1).clamp_min(1e-6)
        scale = torch.where(complete, least_squares, scale)
    residual = scale[:, None] * order - total + belief.memory[rows]
    variance = residual.square().sum(dim=1) / order.shape[1] * variance_scale
    cosine = (energy.sqrt() / scale).clamp(*_COSINE_RANGE)
    prefix = observed.prefix[rows]
    share = belief.codebook.semantic_share
    expected = prefix_cosine(cosine, order.shape[1], prefix.shape[1], share) * prefix.norm(dim=1)
    return NoiseEstimate(residual, variance.clamp_min(_MIN_VARIANCE), cosine, expected)


def _combined_cosine(order: Tensor, total: Tensor, energy: Tensor, believed: Tensor) -> Tensor:
    """Cosine of given vectors with the clean ones: what the believed part measures, weighed against a prior guess.

    Args:
        order: given, unit length. Shape: (B, O).
        total: sum of what is believed. Shape: (B, O).
        energy: of all codes of the full text, EOS's included. Shape: (B,).
        believed: of what is believed, ``energy`` when everything is. Shape: (B,).

    Shape: (B,).
    """
    squared = total.square().sum(dim=1).clamp_min(1e-6)
    measured = (order * total).sum(dim=1) * energy.sqrt() / squared
    precision = believed * order.shape[1] / energy
    prior = 1.0 / _PRIOR_DEVIATION**2
    cosine: Tensor = (measured * precision + _PRIOR_COSINE * prior) / (precision + prior)
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


def onsager(estimate: NoiseEstimate, divergence: Tensor) -> Tensor:
    """Memory for the next residual: how far beliefs followed this one, taken back (AMP's Onsager term).

    Beliefs are made of evidence, so that subtracting them leaves less in the residual than their errors add. With a
    posterior mean m of codes for a belief, its derivative by the evidence sums to ``(g - |m|²) / variance``, g being
    the posterior mean of the code's energy (Donoho, Maleki & Montanari 2009; Rush, Greig &
    Venkataramanan 2017). That is for exact evidence: what a learned prior adds is left out.

    Args:
        estimate: that the beliefs were made from.
        divergence: sum of ``g - |m|²`` over each text's beliefs. Shape: (B,).

    Shape: (B, O).
    """
    width = estimate.residual.shape[1]
    kept = (divergence / (width * estimate.variance)).clamp(0.0, 1.0)  # the mean derivative, at most 1
    return estimate.residual * kept[:, None]
