"""Observations: vectors to be decoded, brought to unit length once, with what is known of their texts."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Observation:
    """B vectors in two parts. Whoever decodes may rely on unit length; nobody else scales.

    Attributes:
        order: order parts, unit length (a zero part stays zero). Shape: (B, O).
        prefix: semantic prefixes, unit length, zero where there is none. Shape: (B, S).
        known: units known beforehand, -1 elsewhere; None if nothing is known. Shape: (B, N).
    """

    order: Tensor
    prefix: Tensor
    known: Tensor | None = None

    @classmethod
    def of(cls, order: Tensor, prefix: Tensor, known: Tensor | None = None) -> Observation:
        """Bring parts of any positive length to unit length. Shape: as of the attributes."""
        return cls(F.normalize(order, dim=-1), F.normalize(prefix, dim=-1), known)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, rows: Tensor | slice) -> Observation:
        """Some of the vectors, as a batch."""
        return Observation(self.order[rows], self.prefix[rows], None if self.known is None else self.known[rows])

    def repeated(self, count: int) -> Observation:
        """One vector ``count`` times over."""
        known = None if self.known is None else self.known.expand(count, -1)
        return Observation(self.order.expand(count, -1), self.prefix.expand(count, -1), known)
