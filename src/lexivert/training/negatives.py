"""Negatives of contrastive losses: hard negatives, a queue of past codes, and a mask of false negatives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def same_unit(units: Tensor, candidates: Tensor, duplicates: Tensor) -> Tensor:
    """False-negative mask: a candidate that is the unit itself or a duplicate of it.

    Args:
        units: Shape: (B,).
        candidates: Shape: (K,).
        duplicates: one label for all units with the same features, such as another spelling in case under an uncased
            backbone. Shape: (V,).

    Shape: (B, K) bool.
    """
    return duplicates[units][:, None] == duplicates[candidates][None, :]


def hardest(similarity: Tensor, excluded: Tensor, count: int) -> Tensor:
    """Columns of the largest similarities of each row, excluded ones last (hard negatives, Robinson et al. 2021).

    Shape: similarity and excluded (B, K), result (B, min(count, K)).
    """
    masked = similarity.masked_fill(excluded, -torch.inf)
    return masked.topk(min(count, masked.shape[1]), dim=-1).indices


class CodeQueue:
    """The last codes seen, first in first out, with their unit ids (MoCo, He et al. 2020).

    Args:
        size: most codes kept; 0 keeps none.
        width: O.
        device: where the codes lie.
    """

    def __init__(self, size: int, width: int, device: torch.device | str = "cpu") -> None:
        self.codes = torch.zeros(size, width, device=device)
        self.units = torch.full((size,), -1, dtype=torch.int64)
        self.position = 0
        self.filled = 0

    def push(self, codes: Tensor, units: Tensor) -> None:
        """Add codes without their gradient; the oldest fall out. Shape: (B, O) and (B,)."""
        size = len(self.units)
        count = min(len(units), size)
        if count == 0:
            return
        slots = (self.position + torch.arange(count)) % size
        self.codes[slots.to(self.codes.device)] = codes[-count:].detach().to(self.codes.dtype)
        self.units[slots] = units[-count:]
        self.position = (self.position + count) % size
        self.filled = min(self.filled + count, size)

    def entries(self) -> tuple[Tensor, Tensor]:
        """Codes and unit ids that are there. Shape: (Q, O) and (Q,)."""
        return self.codes[: self.filled], self.units[: self.filled]

    def state_dict(self) -> dict[str, Any]:
        """Everything that a resumed run needs."""
        return {"codes": self.codes, "units": self.units, "position": self.position, "filled": self.filled}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        self.codes.copy_(state["codes"])
        self.units.copy_(state["units"])
        self.position, self.filled = int(state["position"]), int(state["filled"])
