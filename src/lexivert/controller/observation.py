"""Observations: vectors to be decoded, brought to unit length once, with what is known of their texts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

_UNIT = 1.0e-4  # a part whose squared length is nearer to 1 counts as scaled


@dataclass(frozen=True)
class Observation:
    """B vectors in two parts. Whoever decodes may rely on unit length; nobody else scales.

    Attributes:
        order: order parts, unit length (a zero part stays zero). Shape: (B, O).
        prefix: semantic prefixes, unit length, zero where there is none. Shape: (B, S).
        known: units known beforehand, -1 elsewhere; None if nothing is known. Shape: (B, N).
        order_share: order part's share of the energy of the vectors as they were given, which tells of noise; NaN, or
            None for all, where only parts of unit length were given. Shape: (B,).
    """

    order: Tensor
    prefix: Tensor
    known: Tensor | None = None
    order_share: Tensor | None = None

    @classmethod
    def of(cls, order: Tensor, prefix: Tensor, known: Tensor | None = None) -> Observation:
        """Bring parts of any positive length to unit length. Shape: as of the attributes."""
        energies = [part.float().square().sum(dim=-1) for part in (order, prefix)]
        scaled = ((energies[0] - 1.0).abs() < _UNIT) & ((energies[1] - 1.0).abs() < _UNIT)
        share = energies[0] / (energies[0] + energies[1]).clamp_min(1e-30)
        unknown = scaled | (energies[1] == 0)
        return cls(
            F.normalize(order, dim=-1), F.normalize(prefix, dim=-1), known, share.masked_fill(unknown, torch.nan)
        )

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, rows: Tensor | slice) -> Observation:
        """Some of the vectors, as a batch."""
        known, share = (part if part is None else part[rows] for part in (self.known, self.order_share))
        return Observation(self.order[rows], self.prefix[rows], known, share)

    def repeated(self, count: int) -> Observation:
        """One vector ``count`` times over."""
        known = None if self.known is None else self.known.expand(count, -1)
        share = None if self.order_share is None else self.order_share.expand(count)
        return Observation(self.order.expand(count, -1), self.prefix.expand(count, -1), known, share)
