"""Log partition functions over a full vocabulary: one pass over its logits for the value, none for the gradient.

A batch's logits over 90,000 units, their exponentials and gradients in float32 are hundreds of megabytes, and writing
and reading them takes longer than computing them. So logits are made in parts, in the format that is multiplied in,
biases included; one softmax of each part gives its log partition function, and is all that the gradient needs (cut
cross-entropy, Wijmans et al. 2024, makes logits anew instead; on a CPU reading the softmax again is faster).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_NOTHING = -1e4
"""Logit of what is ruled out: e to its power is 0, and differences of two are numbers, as those of -inf are not."""
_COLUMNS, _QUERIES, _UNITS = 32, 512, 256
"""What shapes are multiples of: products of half floats are quickest in 32 dimensions, and each new shape of a
product is compiled first, which takes as long as ten products. Batches differ in queries and distinct units."""


def log_partition(
    queries: Tensor,
    vectors: Tensor,
    bias: Tensor,
    dtype: torch.dtype,
    left_out: Tensor | None = None,
    part: int = 4096,
) -> Tensor:
    """``log sum_u exp(<q, g(u)> + b(u))`` over all units, with gradients for queries, vectors and biases.

    The gradient of a log partition function is that of its logits, each weighed by its softmax.

    Args:
        queries: Shape: (B, R).
        vectors: of the units, at least one; what needs no gradient costs none. Shape: (V, R).
        bias: of the units, ``-inf`` where one is ruled out. Shape: (V,).
        dtype: that is multiplied in, and that each part's softmax is kept in.
        left_out: units that each query leaves out, or -1. Shape: (B,) or (B, L).
        part: units whose logits are in memory at once.

    Shape: (B,), in float32.
    """
    with torch.autocast(queries.device.type, enabled=False):  # `dtype` says it
        found: Tensor = _LogPartition.apply(queries, vectors, bias, dtype, left_out, part)  # type: ignore[no-untyped-call]
    return found


class _LogPartition(torch.autograd.Function):
    """See ``log_partition``."""

    @staticmethod
    def forward(
        ctx: Any,
        queries: Tensor,
        vectors: Tensor,
        bias: Tensor,
        dtype: torch.dtype,
        left_out: Tensor | None,
        part: int,
    ) -> Tensor:
        asking = _filled(F.pad(queries.to(dtype), (0, 2), value=1.0), _QUERIES)
        shares, sums = [], []
        for start in range(0, len(vectors), part):
            logits = asking @ _with_bias(vectors[start : start + part], bias[start : start + part], dtype).T
            if left_out is not None:
                _rule_out(logits, left_out.view(len(queries), -1) - start)
            share = logits.softmax(dim=1)
            largest = share.amax(dim=1).float()  # of p = e^(l - log Z), so that log Z = l - log p
            sums.append(logits.amax(dim=1).float() - largest.log())
            shares.append(share)
        parts = torch.stack(sums)
        total = parts.logsumexp(dim=0)
        ctx.part = part
        ctx.save_for_backward(asking, vectors, parts - total, *shares)
        return total[: len(queries)]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        asking, vectors, parts, *shares = ctx.saved_tensors
        of_queries, of_vectors, of_bias = ctx.needs_input_grad[:3]
        width = vectors.shape[1]
        weights = parts.exp() * F.pad(gradient, (0, len(asking) - len(gradient)))
        asked = asking if of_vectors else asking[:, width : width + 1]  # this column is 1, the bias' factor
        about_queries = torch.zeros(len(asking), width, device=asking.device)
        about_vectors = []
        for weight, share, own in zip(weights, shares, vectors.split(ctx.part), strict=True):
            if of_queries:
                wanted = _filled(own.to(share.dtype), share.shape[1])
                about_queries.addcmul_((share @ wanted)[:, :width].float(), weight[:, None])
            if of_vectors or of_bias:
                found = (asked * weight[:, None]).to(share.dtype).T @ share
                about_vectors.append(found[:, : len(own)].T.float())
        joined = torch.cat(about_vectors) if about_vectors else vectors
        return (
            about_queries[: len(gradient)] if of_queries else None,
            joined[:, :width].to(vectors.dtype) if of_vectors else None,
            joined[:, width if of_vectors else 0] if of_bias else None,
            *(None, None, None),
        )


def _with_bias(vectors: Tensor, bias: Tensor, dtype: torch.dtype) -> Tensor:
    """Vectors with two columns more, whose sum is the bias: one number of few bits would round it.

    Rows that only fill up the shape are ruled out.
    """
    bias = F.pad(bias.clamp_min(_NOTHING), (0, -len(bias) % _UNITS), value=_NOTHING)
    rough = bias.to(dtype)
    vectors = F.pad(vectors.to(dtype), (0, 0, 0, len(bias) - len(vectors)))
    return _filled(torch.cat((vectors, rough[:, None], (bias - rough.float()).to(dtype)[:, None]), dim=1), _UNITS)


def _filled(rows: Tensor, multiple: int) -> Tensor:
    """Rows of zeros added up to a multiple, and columns of zeros."""
    return F.pad(rows, (0, -rows.shape[1] % _COLUMNS, 0, -len(rows) % multiple))


def _rule_out(logits: Tensor, columns: Tensor) -> None:
    """Make some logits those of nothing; columns of no part of them are passed over."""
    rows, nth = ((columns >= 0) & (columns < logits.shape[1])).nonzero(as_tuple=True)
    logits.index_put_((rows, columns[rows, nth]), logits.new_tensor(_NOTHING))
