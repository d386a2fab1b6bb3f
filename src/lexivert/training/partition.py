"""Log partition functions over a full vocabulary, without its logits in memory.

A batch's logits over 90,000 units are a hundred megabytes, and so are their exponentials and gradients: writing and
reading them takes longer than computing them. So they are made in parts that stay in the processor's cache, and made
again for the gradient (cut cross-entropy, Wijmans et al. 2024; gradient checkpointing, Chen et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def log_partition(logits: Callable[..., Tensor], rows: tuple[Tensor, ...], part: int = 4096) -> Tensor:
    """``log sum_u exp(logits(u))`` over all units, with gradients for all that the logits are made of.

    Args:
        logits: makes logits (B, P) of P units from these units' entries of every tensor in ``rows``. It runs twice
            and must give the same.
        rows: tensors with one entry a unit. Shape: (V, ...) each.
        part: P, units whose logits are in memory at once.

    Shape: (B,).
    """

    def total(*entries: Tensor) -> Tensor:
        return logits(*entries).logsumexp(dim=1)

    parts = zip(*(torch.split(tensor, part) for tensor in rows), strict=True)
    options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}
    return torch.stack([checkpoint(total, *entries, **options) for entries in parts]).logsumexp(dim=0)


def inner_products(queries: Tensor, vectors: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """``<q, g(u)> + b(u)`` for every query and unit, multiplied in ``dtype``, as float32.

    Shape: queries (B, R), vectors (P, R), bias (P,), result (B, P).
    """
    products = queries.to(dtype) @ vectors.to(dtype).T
    return products.float() + bias
