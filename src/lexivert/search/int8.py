"""Unit codes in eight bits: quick inner products, good enough to draw up a shortlist that is then rescored.

Products of eight-bit integers are two to four times as fast as those of float32 on processors made in recent years.
Rounding to eight bits turns a code by about a hundredth of its length, far less than the noise that codes are
searched in.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

_ROUNDED_AT_ONCE = 8192


@functools.cache
def _largest_entry() -> int:
    """Largest whole number that products are exact for.

    Processors without instructions for it add pairs of products in 16 bits, which overflow at the full range.
    """
    full = torch.full((8, 64), 127, dtype=torch.int8)
    exact = all(bool((torch._int_mm(full * sign, full.T) == sign * 127 * 127 * 64).all()) for sign in (1, -1))
    return 127 if exact else 63


class Int8Vectors:
    """Eight-bit copies of vectors, all on one scale.

    Args:
        vectors: Shape: (V, d) float.
    """

    def __init__(self, vectors: Tensor) -> None:
        parts = [slice(start, start + _ROUNDED_AT_ONCE) for start in range(0, len(vectors), _ROUNDED_AT_ONCE)]
        largest = max((float(vectors[part].abs().max()) for part in parts), default=0.0)
        self._step = max(largest, 1e-12) / _largest_entry()
        self._values = torch.empty(vectors.shape, dtype=torch.int8)
        for part in parts:
            self._values[part] = (vectors[part].float() / self._step).round()

    def __len__(self) -> int:
        return len(self._values)

    def products(self, queries: Tensor, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Inner products of queries with the leading dimensions of the first ``count`` vectors, all if None.

        Args:
            queries: as many dimensions as are to be compared. Shape: (M, w), w at most d.
            count: of the vectors.

        Returns:
            Whole numbers (M, V) int32, and each query's factor (M, 1) that makes inner products of them.
        """
        step = queries.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / _largest_entry()
        rounded = (queries / step).round().to(torch.int8)
        values = self._values[:count, : queries.shape[1]]
        found: Tensor = torch._int_mm(rounded, values.T)
        return found, step * self._step
