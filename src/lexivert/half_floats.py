"""Tables of float16 rows, computed with in float32: a part at a time, so that no copy of all rows is ever made."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

_ROWS = 8192


def float_parts(rows: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """The rows in float32, and where they stand. Shape: (V, O) to parts of (v, O)."""
    for start in range(0, len(rows), _ROWS):
        part = slice(start, min(start + _ROWS, len(rows)))
        yield part, rows[part].float()


def squared_lengths(rows: Tensor) -> Tensor:
    """Squared length of every row, in float32. Shape: (V, O) to (V,)."""
    lengths = torch.empty(len(rows), device=rows.device)
    for part, own in float_parts(rows):
        lengths[part] = own.square().sum(dim=1)
    return lengths
