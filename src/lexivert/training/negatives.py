"""Which units a unit is compared with: hard negatives, a queue of past codes, antonyms, and what must never count."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.errors import DamagedArtifactError


@dataclass(frozen=True)
class Relations:
    """Related units of every unit, as compressed sparse rows: unit u has ``others[starts[u]:starts[u + 1]]``.

    Attributes:
        starts: Shape: (V + 1,) int64.
        others: sorted within a unit. Shape: (number of pairs,) int64.
    """

    starts: Tensor
    others: Tensor

    @classmethod
    def from_pairs(cls, units: npt.NDArray[Any], others: npt.NDArray[Any], size: int) -> Relations:
        """Build from pairs in any order; doubles and pairs of a unit with itself are dropped.

        Args:
            units: Shape: (P,).
            others: Shape: (P,).
            size: V.
        """
        keys = np.unique(units.astype(np.int64) * size + others.astype(np.int64))
        left, right = np.divmod(keys, size)
        kept = left != right
        starts = np.zeros(size + 1, dtype=np.int64)
        np.cumsum(np.bincount(left[kept], minlength=size), out=starts[1:])
        return cls(torch.from_numpy(starts), torch.from_numpy(right[kept]))

    def counts(self, units: Tensor) -> Tensor:
        """How many related units each unit has. Shape: (B,) to (B,)."""
        return self.starts[units + 1] - self.starts[units]

    def turn(self, units: Tensor, turn: int) -> tuple[Tensor, Tensor]:
        """One related unit for each unit that has any: its ``(turn + unit) mod count``-th.

        Over ``count`` consecutive turns every related unit comes exactly once; nothing is left to chance.

        Returns:
            Rows of ``units`` that have a related unit, and that unit. Shape: (R,) and (R,).
        """
        counts = self.counts(units)
        rows = torch.nonzero(counts > 0)[:, 0]
        chosen = units[rows]
        return rows, self.others[self.starts[chosen] + (turn + chosen) % counts[rows]]

    def pairs(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """All pairs whose first unit is one of ``units``. Shape: (B,) to (P,) and (P,)."""
        counts = self.counts(units)
        return torch.repeat_interleave(units, counts), self.others[_ranges(self.starts[units], counts)]

    def among(self, units: Tensor, candidates: Tensor) -> Tensor:
        """Where a candidate is related to a unit. Shape: units (B,), candidates (C,), result (B, C) bool."""
        rows = torch.repeat_interleave(torch.arange(len(units)), self.counts(units))
        _, related = self.pairs(units)
        ordered, order = torch.sort(candidates)
        first = torch.searchsorted(ordered, related)
        hits = torch.searchsorted(ordered, related, right=True) - first
        mask = torch.zeros(len(units), len(candidates), dtype=torch.bool)
        mask[torch.repeat_interleave(rows, hits), order[_ranges(first, hits)]] = True
        return mask


def _ranges(starts: Tensor, counts: Tensor) -> Tensor:
    ends = torch.cumsum(counts, 0)
    inside = torch.arange(int(counts.sum())) - torch.repeat_interleave(ends - counts, counts)
    return torch.repeat_interleave(starts, counts) + inside


def read_relations(path: Path, names: tuple[str, ...], size: int, keep: npt.NDArray[np.bool_]) -> Relations:
    """Read the named relations of a Parquet file of pairs.

    Args:
        path: columns unit_id, other_id, relation.
        names: relations wanted.
        size: V.
        keep: units whose pairs are kept; a pair needs both. Shape: (V,).

    Raises:
        MissingArtifactError, DamagedArtifactError: the file can't be read, or names a unit outside the vocabulary.
    """
    table = artifacts.read_parquet(path, ["unit_id", "other_id", "relation"])
    units, others = table["unit_id"].to_numpy(), table["other_id"].to_numpy()
    if len(units) and (min(units.min(), others.min()) < 0 or max(units.max(), others.max()) >= size):
        raise DamagedArtifactError(
            f"{path} names a unit outside the vocabulary of {size}; run `dvc repro lexical_maps`"
        )
    wanted = np.isin(np.asarray(table["relation"].to_pylist(), dtype=str), names) & keep[units] & keep[others]
    return Relations.from_pairs(units[wanted], others[wanted], size)


def same_unit(units: Tensor, candidates: Tensor, twins: Tensor) -> Tensor:
    """Where a candidate is the unit itself or its twin (a unit with the same features, such as another spelling in
    case under an uncased backbone).

    Args:
        units: Shape: (B,).
        candidates: Shape: (C,).
        twins: one label for all units that share their features. Shape: (V,).

    Shape: (B, C) bool.
    """  # noqa: D205 one sentence
    return twins[units][:, None] == twins[candidates][None, :]


def hardest(similarity: Tensor, excluded: Tensor, count: int) -> Tensor:
    """Columns of the largest similarities of each row, excluded ones last (hard negatives, Robinson et al. 2021).

    Shape: similarity and excluded (B, C), result (B, min(count, C)).
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
