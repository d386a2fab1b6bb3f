"""What happens to vectors between writing and reading: isotropic noise, blends of two, storage in few bits."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


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


def blends(vectors: Tensor, generator: torch.Generator) -> Tensor:
    """Weighted means of every vector and the next, .5 to .75 of the first: vectors that no text made.

    Shape: (B, D) to (B - 1, D) of unit length.
    """
    share = 0.5 + 0.25 * torch.rand(len(vectors) - 1, 1, generator=generator, device="cpu").to(vectors.device)
    return F.normalize(share * vectors[:-1] + (1.0 - share) * vectors[1:], dim=1)


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
