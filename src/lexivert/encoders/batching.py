"""Word pieces of many texts, and their division into batches of like length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tokens:
    """Word pieces of B texts, one after the other.

    Attributes:
        ids: piece ids of all texts. Shape: (T,)
        starts: text b owns ``ids[starts[b]:starts[b + 1]]``. Shape: (B + 1,)
        truncated: texts that were longer than the backbone reads.
    """

    ids: npt.NDArray[np.int32]
    starts: IntArray
    truncated: int

    @property
    def lengths(self) -> IntArray:
        """Pieces of each text. Shape: (B,)."""
        return np.diff(self.starts)

    def padded(self, rows: IntArray, pad_id: int) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Ids of the texts ``rows``, filled up with ``pad_id``, and where the true ones are. Shape: (b, L) twice."""
        lengths = (self.starts[rows + 1] - self.starts[rows])[:, None]
        columns = np.arange(lengths.max())[None, :]
        mask = columns < lengths
        places = np.where(mask, self.starts[rows, None] + columns, 0)
        return np.where(mask, self.ids[places], pad_id), mask


def plan_batches(lengths: IntArray, tokens_per_batch: int) -> list[IntArray]:
    """Group texts of like length, the longest first, so that little is padded and memory is worst at the start.

    Args:
        lengths: pieces of each text. Shape: (B,)
        tokens_per_batch: most pieces of a batch, padding included; a longer text makes a batch of its own.

    Returns:
        Rows of each batch; each row is in exactly one.
    """
    order = np.argsort(-lengths, kind="stable")
    batches: list[IntArray] = []
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // max(1, int(lengths[order[start]])))
        batches.append(order[start : start + size])
        start += size
    return batches


def deduplicate(texts: Sequence[str]) -> tuple[list[str], IntArray]:
    """Distinct texts in order of first appearance, and the place of each text among them. Shape: (B,)."""
    place = {text: number for number, text in enumerate(dict.fromkeys(texts))}
    return list(place), np.fromiter((place[text] for text in texts), dtype=np.int64, count=len(texts))
