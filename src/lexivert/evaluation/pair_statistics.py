"""Cosines of related and unrelated pairs, and of reconstructed with true features: pure functions of tensors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def distribution(values: Tensor) -> dict[str, float]:
    """Mean, median, 95th and 99th percentile and maximum. Shape: (B,) with B of at least 1."""
    summary = {"mean": float(values.mean()), "max": float(values.max())}
    summary |= {name: float(torch.quantile(values, share)) for name, share in QUANTILES.items()}
    return summary


def pair_cosines(vectors: Tensor, left: Tensor, right: Tensor, block: int = 16_384) -> Tensor:
    """Cosine of unit pairs. Shape: vectors (V, D), left and right (P,), result (P,) float32."""
    parts = [
        F.cosine_similarity(
            vectors[left[start : start + block]].float(), vectors[right[start : start + block]].float(), dim=-1
        )
        for start in range(0, len(left), block)
    ]
    return torch.cat(parts) if parts else torch.empty(0)


def pair_report(
    vectors: Tensor, pairs: dict[str, tuple[Tensor, Tensor]], baseline: str = "random"
) -> dict[str, float]:
    """Mean cosine of each kind of pair, and its gap to the baseline in cosines and in the baseline's deviations.

    The gap in deviations (Glass's delta) compares spaces of different spread: cosines of raw features lie between .1
    and .9, those of spread codes between 0 and .4.

    Args:
        vectors: Shape: (V, D).
        pairs: kind to left and right unit ids; empty kinds are left out.
        baseline: the kind of unrelated pairs.
    """
    cosines = {kind: pair_cosines(vectors, *ids) for kind, ids in pairs.items() if len(ids[0])}
    base = cosines[baseline]
    spread = float(base.std(correction=0).clamp_min(1e-9))
    report = {f"{kind}_cosine": float(values.mean()) for kind, values in cosines.items()}
    for kind, values in cosines.items():
        if kind != baseline:
            gap = float(values.mean() - base.mean())
            report |= {f"{kind}_gap": gap, f"{kind}_gap_deviations": gap / spread}
    return report


def reconstruction_report(predicted: Tensor, target: Tensor, centre: Tensor) -> dict[str, float]:
    """Mean cosine of reconstructed with true features, as they are and with the mean feature taken off.

    The second is the stricter one: features that share a large mean agree by it alone.

    Shape: predicted and target (B, H), centre (H,).
    """
    plain = F.cosine_similarity(predicted, target, dim=-1)
    centred = F.cosine_similarity(predicted - centre, target - centre, dim=-1)
    mean_only = F.cosine_similarity(centre.expand_as(target), target, dim=-1)
    return {
        "cosine": float(plain.mean()),
        "cosine_centred": float(centred.mean()),
        "cosine_of_mean_feature": float(mean_only.mean()),
    }
