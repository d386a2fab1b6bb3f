"""Log partition functions over a full vocabulary, without its logits in memory.

A batch's logits over 90,000 units are a hundred megabytes, and so are their exponentials and gradients: writing and
reading them takes longer than computing them. So they are made in parts that stay in the processor's cache, and made
again for the gradient (cut cross-entropy, Wijmans et al. 2024; gradient checkpointing, Chen et al. 2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


def log_partition(
    logits: Callable[..., Tensor], shared: Sequence[Tensor], rows: Sequence[Tensor], part: int = 4096
) -> Tensor:
    """``log sum_u exp(logits(u))`` over all units, with gradients for all that the logits are made of.

    The gradient of a log partition function is that of its logits, each weighed by its softmax. So logits are made
    anew for it, but their exponentials are not summed again.

    Args:
        logits: of ``shared`` and P units' entries of every tensor in ``rows``, logits (B, P) in float32. It runs
            twice and must give the same; a tensor that it only closes over gets no gradient.
        shared: tensors that all units' logits are made of.
        rows: tensors with one entry a unit. Shape: (V, ...) each.
        part: P, units whose logits are in memory at once.

    Shape: (B,).
    """
    found: Tensor = _LogPartition.apply(logits, part, len(shared), *shared, *rows)  # type: ignore[no-untyped-call]
    return found


class _LogPartition(torch.autograd.Function):
    """See ``log_partition``."""

    @staticmethod
    def forward(ctx: Any, logits: Callable[..., Tensor], part: int, count: int, *tensors: Tensor) -> Tensor:
        shared, rows = tensors[:count], tensors[count:]
        sums = [logits(*shared, *entries).logsumexp(dim=1) for entries in _parts(rows, part)]
        total = torch.stack(sums).logsumexp(dim=0)
        ctx.logits, ctx.part, ctx.count = logits, part, count
        ctx.save_for_backward(total, *tensors)
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        total, *tensors = ctx.saved_tensors
        wanted = ctx.needs_input_grad[3:]
        inputs = [one.detach().requires_grad_(need) for one, need in zip(tensors, wanted, strict=True)]
        shared, rows = inputs[: ctx.count], inputs[ctx.count :]
        own: list[list[Tensor | None]] = [[] for _ in rows]
        for entries in _parts(rows, ctx.part):
            leaves = [entry.detach().requires_grad_(entry.requires_grad) for entry in entries]
            with torch.enable_grad():
                made = ctx.logits(*shared, *leaves)
            made.backward((made.detach() - total[:, None]).exp_().mul_(gradients[0][:, None]))
            for found, leaf in zip(own, leaves, strict=True):
                found.append(leaf.grad)
        joined = [torch.cat(found) if found and found[0] is not None else None for found in own]  # type: ignore[arg-type]
        return None, None, None, *(one.grad for one in shared), *joined


def _parts(rows: Sequence[Tensor], size: int) -> Any:
    return zip(*(torch.split(tensor, size) for tensor in rows), strict=True)


def inner_products(queries: Tensor, vectors: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """``<q, g(u)> + b(u)`` for every query and unit, multiplied in ``dtype``, as float32.

    Shape: queries (B, R), vectors (P, R), bias (P,), result (B, P).
    """
    products = queries.to(dtype) @ vectors.to(dtype).T
    return products.float() + bias
