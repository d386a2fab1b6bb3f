"""Lexical relations between units: the one coding of pairs, and sparse rows of related units.

``synonyms.parquet`` and ``antonyms.parquet`` (stage ``lexical_maps``) state each pair once in either direction.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.errors import DamagedArtifactError

RELATIONS = ("antonym", "synonym", "inflection", "sibling")
"""By precedence: of two units only the first relation that is true is stated."""
SCHEMA = pa.schema([("unit_id", pa.int32()), ("other_id", pa.int32()), ("relation", pa.string())])

Units = npt.NDArray[np.int64]
Pairs = npt.NDArray[np.int64]
"""Ordered pairs of units, each one number, so that sets of pairs are sorted arrays. Shape: (number of pairs,)."""


def encode_pairs(units: npt.NDArray[Any], others: npt.NDArray[Any], size: int) -> Pairs:
    """Code pairs as ``unit * V + other``; sorted, they are so by unit and then by other.

    Args:
        units: first of each pair.
        others: second of each pair.
        size: V.
    """
    return units.astype(np.int64) * size + others.astype(np.int64)


def decode_pairs(pairs: Pairs, size: int) -> tuple[Units, Units]:
    """Units and others of coded pairs."""
    return np.divmod(pairs, max(size, 1))


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
            units: first of each pair.
            others: second of each pair.
            size: V.
        """
        left, right = decode_pairs(np.unique(encode_pairs(units, others, size)), size)
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
            Rows of ``units`` that have a related unit, and that unit: at most B of each.
        """
        counts = self.counts(units)
        rows = torch.nonzero(counts > 0)[:, 0]
        chosen = units[rows]
        return rows, self.others[self.starts[chosen] + (turn + chosen) % counts[rows]]

    def pairs(self, units: Tensor) -> tuple[Tensor, Tensor]:
        """All pairs whose first unit is one of ``units``, which are (B,): first units, and second units."""
        counts = self.counts(units)
        return torch.repeat_interleave(units, counts), self.others[_ranges(self.starts[units], counts)]

    def among(self, units: Tensor, candidates: Tensor) -> Tensor:
        """Where a candidate is related to a unit. Shape: units (B,), candidates (K,), result (B, K) bool."""
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


def read_pairs(path: Path, size: int) -> dict[str, Pairs]:
    """All pairs of a file by relation, coded and sorted.

    Args:
        path: columns unit_id, other_id, relation.
        size: V.

    Raises:
        MissingArtifactError, DamagedArtifactError: the file can't be read, or names a unit outside the vocabulary.
    """
    table = artifacts.read_parquet(path, SCHEMA.names)
    units, others = table["unit_id"].to_numpy(), table["other_id"].to_numpy()
    if len(units) and (min(units.min(), others.min()) < 0 or max(units.max(), others.max()) >= size):
        raise DamagedArtifactError(
            f"{path} names a unit outside the vocabulary of {size}; run `dvc repro lexical_maps`"
        )
    pairs = encode_pairs(units, others, size)
    names = np.asarray(table["relation"].to_pylist(), dtype=str)
    return {name: np.sort(pairs[names == name]) for name in np.unique(names).tolist()}


def read_relations(path: Path, names: tuple[str, ...], size: int, keep: npt.NDArray[np.bool_]) -> Relations:
    """Read the named relations of a file as one.

    Args:
        path: see ``read_pairs``.
        names: relations wanted.
        size: V.
        keep: units whose pairs are kept; a pair needs both. Shape: (V,).

    Raises:
        MissingArtifactError, DamagedArtifactError: see ``read_pairs``.
    """
    found = read_pairs(path, size)
    wanted = [found[name] for name in names if name in found]
    units, others = decode_pairs(np.concatenate([np.empty(0, np.int64), *wanted]), size)
    kept = keep[units] & keep[others]
    return Relations.from_pairs(units[kept], others[kept], size)
