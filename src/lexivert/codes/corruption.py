"""What happens to vectors between writing and reading: isotropic noise, arithmetic, storage in few bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_CLEAN_SHARE = 0.5  # of the embeddings that a model in training is told without noise


def add_noise(vectors: Tensor, cosine: Tensor, generator: torch.Generator) -> Tensor:
    """Add isotropic noise to unit vectors so that each has a given cosine with the clean one.

    Args:
        vectors: unit length. Shape: (B, D).
        cosine: of each noisy vector with the clean one. Shape: (B,).
        generator: on the CPU, so that the noise is the same on every device.

    Shape: (B, D) of unit length.
    """
    drawn = torch.randn(vectors.shape, generator=generator, device="cpu").to(vectors.device)
    noise = F.normalize(drawn - (drawn * vectors).sum(dim=1, keepdim=True) * vectors, dim=-1)
    return cosine[:, None] * vectors + torch.sqrt(1.0 - cosine.square())[:, None] * noise


def training_cosines(count: int, least: float, rng: np.random.Generator) -> Tensor:
    """Cosines that a model in training is told embeddings at: half of them clean, the rest anywhere above the least.

    Shape: (count,).
    """
    cosine = torch.from_numpy(rng.uniform(least, 1.0, count).astype(np.float32))
    cosine[torch.from_numpy(rng.random(count) < _CLEAN_SHARE)] = 1.0
    return cosine


def full_cosine(order_cosine: Tensor, order_width: int, semantic_width: int, semantic_share: float) -> Tensor:
    """Cosine of a noisy full vector with the clean one, if its order part has a given one.

    Args:
        order_cosine: above 0. Shape: (B,).
        order_width: O.
        semantic_width: S.
        semantic_share: energy of the semantic prefix, a.

    Shape: (B,).
    """
    noise = order_width / (order_width + semantic_width) * order_cosine.square()  # energies, but for a factor
    signal = (1.0 - semantic_share) * (1.0 - order_cosine.square())
    return torch.sqrt(noise / (signal + noise))


def blends(vectors: Tensor, generator: torch.Generator) -> Tensor:
    """Weighted means of every vector and the next, .5 to .75 of the first: vectors that no text made.

    Shape: (B, D) to (B - 1, D) of unit length.
    """
    share = 0.5 + 0.25 * torch.rand(len(vectors) - 1, 1, generator=generator, device="cpu").to(vectors.device)
    return F.normalize(share * vectors[:-1] + (1.0 - share) * vectors[1:], dim=1)


def differences(vectors: Tensor, generator: torch.Generator) -> Tensor:
    """Every vector less .5 to 1 of the next. Shape: (B, D) to (B - 1, D) of unit length."""
    share = 0.5 + 0.5 * torch.rand(len(vectors) - 1, 1, generator=generator, device="cpu").to(vectors.device)
    return F.normalize(vectors[:-1] - share * vectors[1:], dim=1)


def negatives(vectors: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001 nothing is drawn
    """Every vector negated. Shape: (B, D)."""
    return -vectors


def sums_of_three(vectors: Tensor, generator: torch.Generator) -> Tensor:  # noqa: ARG001 nothing is drawn
    """Sums of every vector and the next two. Shape: (B, D) to (B - 2, D) of unit length."""
    return F.normalize(vectors[:-2] + vectors[1:-1] + vectors[2:], dim=1)


ARITHMETIC: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "blends_of_two": blends,
    "differences": differences,
    "negatives": negatives,
    "sums_of_three": sums_of_three,
}
"""What users may make of vectors, of which no text has the outcome."""


def sign_bits(vectors: Tensor) -> Tensor:
    """One bit a dimension: the sign alone. Shape: (B, D)."""
    signs: Tensor = torch.where(vectors >= 0, 1.0, -1.0) / vectors.shape[1] ** 0.5
    return signs


def int8(vectors: Tensor) -> Tensor:
    """Eight bits a dimension, scaled by each vector's largest entry. Shape: (B, D)."""
    step = vectors.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127.0
    rounded: Tensor = (vectors / step).round().clamp(-127, 127) * step
    return rounded


STORAGE: dict[str, Callable[[Tensor], Tensor]] = {
    "float32": lambda vectors: vectors,
    "float16": lambda vectors: vectors.half().float(),
    "int8": int8,
    "sign": sign_bits,
}
"""How vectors may be kept, and what is left of them."""
