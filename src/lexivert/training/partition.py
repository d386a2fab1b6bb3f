"""Log partition functions over a full vocabulary, without its logits in memory.

A batch's logits over 90,000 units are a hundred megabytes, and so are their exponentials and gradients: writing and
reading them takes longer than computing them. So they are made in parts that stay in the processor's cache, and made
again for the gradient (cut cross-entropy, Wijmans et al. 2024).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def log_partition(
    queries: Tensor, vectors: Tensor, bias: Tensor, dtype: torch.dtype = torch.float32, part: int = 4096
) -> Tensor:
    """``log sum_u exp(<q, g(u)> + b(u))`` of every query, with gradients for all three.

    Args:
        queries: Shape: (B, R).
        vectors: g, one a unit. Shape: (V, R).
        bias: b. Shape: (V,).
        dtype: that products are computed in; sums are float32.
        part: units whose logits are in memory at once.

    Shape: (B,).
    """
    result: Tensor = _LogPartition.apply(queries, vectors, bias, dtype, part)  # type: ignore[no-untyped-call]
    return result


class _LogPartition(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, vectors: Tensor, bias: Tensor, dtype: torch.dtype, part: int) -> Tensor:
        queries, vectors = queries.to(dtype), vectors.to(dtype)
        total = bias.new_full((len(queries),), -torch.inf)
        for start in range(0, len(vectors), part):
            logits = _logits(queries, vectors, bias, slice(start, start + part))
            total = torch.logaddexp(total, logits.logsumexp(dim=1))
        ctx.part = part
        ctx.save_for_backward(queries, vectors, bias, total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        queries, vectors, bias, total = ctx.saved_tensors
        of_queries = bias.new_zeros(queries.shape)
        of_vectors, of_bias = bias.new_empty(vectors.shape), bias.new_empty(bias.shape)
        for start in range(0, len(vectors), ctx.part):
            part = slice(start, start + ctx.part)
            shares = _logits(queries, vectors, bias, part).sub_(total[:, None]).exp_().mul_(gradients[0][:, None])
            of_bias[part] = shares.sum(dim=0)
            shares = shares.to(queries.dtype)
            of_queries += (shares @ vectors[part]).float()
            of_vectors[part] = (shares.T @ queries).float()
        return of_queries, of_vectors, of_bias, None, None


def _logits(queries: Tensor, vectors: Tensor, bias: Tensor, part: slice) -> Tensor:
    logits: Tensor = (queries @ vectors[part].T).float().add_(bias[part])
    return logits
