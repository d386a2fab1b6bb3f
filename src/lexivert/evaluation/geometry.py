"""How vectors fill their space: effective rank, isotropy, alignment, uniformity, moments; pure functions of tensors.

Anisotropy is ``lexivert.training.collapse.anisotropy``: training watches it, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


def effective_rank(vectors: Tensor) -> float:
    """Exponential of the entropy of the covariance's normalised eigenvalues (Roy & Vetterli 2007), 1 to D.

    Rows are centred first, so that a common mean doesn't hide what is left.

    Shape: (B, D).
    """
    spectrum = covariance_spectrum(vectors)
    shares = spectrum / spectrum.sum().clamp_min(1e-30)
    entropy = -(shares * shares.clamp_min(1e-30).log()).sum()
    return float(entropy.exp())


def covariance_spectrum(vectors: Tensor, block: int = 8192) -> Tensor:
    """Eigenvalues of the covariance, largest first. Shape: (B, D) to (D,) float64."""
    width = vectors.shape[1]
    mean = torch.stack([rows.double().sum(0) for rows in torch.split(vectors, block)]).sum(0) / len(vectors)
    products = torch.zeros(width, width, dtype=torch.float64)
    for rows in torch.split(vectors, block):
        part = (
            rows.double() - mean
        )  # first: of collapsed rows, the difference of two products is nothing but rounding
        products += part.T @ part
    spectrum: Tensor = torch.linalg.eigvalsh(products / len(vectors))
    return spectrum.flip(0).clamp_min(0.0)


def isotropy(vectors: Tensor) -> float:
    """Smallest over largest partition function along the principal directions (Mu & Viswanath 2018).

    The partition function of a direction a is ``Σ exp(<a, v>)`` over unit-length rows; 1 where none is preferred,
    exp(-2) = .135 where all rows are one.

    Shape: (B, D).
    """
    unit = F.normalize(vectors.float(), dim=-1)
    _, directions = torch.linalg.eigh((unit.T @ unit).double())
    scores = unit @ directions.float()
    sums = torch.cat((scores.exp().double().sum(0), (-scores).exp().double().sum(0)))
    return float(sums.min() / sums.max())


def alignment(left: Tensor, right: Tensor) -> float:
    """Mean squared distance of related pairs at unit length (Wang & Isola 2020); 0 is best, 2 what chance gives.

    Shape: (P, D) twice.
    """
    return float((F.normalize(left.float(), dim=-1) - F.normalize(right.float(), dim=-1)).square().sum(-1).mean())


def uniformity(vectors: Tensor, scale: float = 2.0) -> float:
    """Log of the mean ``exp(-scale·|x - y|²)`` over all pairs of rows (Wang & Isola 2020); lower is more uniform.

    0 where all rows are one; about ``-2·scale`` for rows all orthogonal to each other.

    Shape: (B, D).
    """
    unit = F.normalize(vectors.float(), dim=-1)
    row, column = torch.triu_indices(len(unit), len(unit), offset=1)
    distances = (2.0 - 2.0 * (unit @ unit.T)[row, column]).double()
    return float(torch.logsumexp(-scale * distances, dim=0) - math.log(len(distances)))


@dataclass(frozen=True)
class Moments:
    """How the distribution of predicted vectors fits that of the true ones, dimension by dimension.

    Attributes:
        mean_error: root mean square difference of the means, in true deviations.
        deviation_ratio: mean ratio of predicted to true standard deviation; 1 fits, 0 is collapse to the mean.
        deviation_correlation: of the two deviations over dimensions, -1 to 1; 0 where either does not vary.
    """

    mean_error: float
    deviation_ratio: float
    deviation_correlation: float


def moments(predicted: Tensor, true: Tensor) -> Moments:
    """Compare per-dimension means and standard deviations (over rows).

    Dimensions in which the true vectors hardly vary (less than a thousandth of the mean) are left out: MiniLM has
    one.

    Shape: (B, D) twice, B of at least 2.
    """
    wanted = true.float().std(0, correction=0)
    alive = wanted > 1e-3 * wanted.mean()
    if not alive.any():
        return Moments(0.0, 0.0, 0.0)
    predicted, true, wanted = predicted[:, alive].float(), true[:, alive].float(), wanted[alive]
    spread = predicted.std(0, correction=0)
    shift = ((predicted.mean(0) - true.mean(0)) / wanted).square().mean().sqrt()
    correlation = torch.corrcoef(torch.stack((spread, wanted)))[0, 1].nan_to_num(0.0)
    return Moments(float(shift), float((spread / wanted).mean()), float(correlation))


def per_dimension(vectors: Tensor) -> dict[str, float]:
    """Means and standard deviations of the dimensions, summed up: where they lie and how unequal they are.

    Returns:
        ``mean_rms``: root mean square of the means; ``deviation_mean``, ``deviation_min``, ``deviation_max``; all
        times the square root of D, so that 1 is what a uniform spread over the unit sphere has.
    """
    rows = vectors.float()
    scale = rows.shape[1] ** 0.5
    means, spread = rows.mean(0) * scale, rows.std(0, correction=0) * scale
    return {
        "mean_rms": float(means.square().mean().sqrt()),
        "deviation_mean": float(spread.mean()),
        "deviation_min": float(spread.min()),
        "deviation_max": float(spread.max()),
    }
