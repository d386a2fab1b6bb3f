"""Segmented texts with their sentence embeddings: what priors are trained on and decoders are measured on."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class EncodedTexts:
    """B texts as units, each with its semantic prefix.

    Attributes:
        texts: the normalised strings; an empty list where nobody reads them.
        units: unit ids of each text, N of them, no EOS.
        prefixes: the backbone's embeddings, unit length, float32. Shape: (B, S).
    """

    texts: list[str]
    units: list[list[int]]
    prefixes: Tensor

    def __post_init__(self) -> None:
        counts = {"units": len(self.units), "prefixes": len(self.prefixes), "texts": len(self.texts)}
        if counts["prefixes"] != len(self.units) or counts["texts"] not in {0, len(self.units)}:
            raise ValueError(f"as many of each are needed: {counts}")

    def __len__(self) -> int:
        return len(self.units)

    def only(self, rows: Sequence[int]) -> EncodedTexts:
        """Some of the texts, in the order of ``rows``."""
        chosen = list(rows)
        texts = [self.texts[row] for row in chosen] if self.texts else []
        return EncodedTexts(texts, [self.units[row] for row in chosen], self.prefixes[chosen])

    def of_length(self, least: int, most: int, count: int, below: int | None = None) -> EncodedTexts:
        """The first ``count`` texts of a length.

        Args:
            least: fewest units of a text.
            most: most units of a text.
            count: texts wanted; fewer are given where there are no more.
            below: bound on unit ids, for a smaller lexicon. None: any unit will do.
        """
        rows = (row for row, units in enumerate(self.units) if least <= len(units) <= most and _known(units, below))
        return self.only(list(itertools.islice(rows, count)))

    def chained(self, least: int, most: int, count: int, below: int | None = None) -> EncodedTexts:
        """The first ``count`` chains of consecutive texts, for lengths that no single text has.

        A text that would make a chain longer than ``most``, or has a unit that is not known, ends the chain unused,
        and so is itself. Chains share no text. Arguments are those of ``of_length``.
        """
        return self.joined(list(itertools.islice(self._chains(least, most, below), count)))

    def joined(self, chains: Sequence[Sequence[int]]) -> EncodedTexts:
        """Rows written one behind the other, a text each chain.

        A chain's prefix is the mean of its texts' prefixes weighted by their units, at unit length: what mean pooling
        over the chain would give if tokens did not see each other.

        Args:
            chains: at least one row each.
        """
        units = [[unit for row in chain for unit in self.units[row]] for chain in chains]
        texts = [" ".join(self.texts[row] for row in chain) for chain in chains] if self.texts else []
        sums = [self._weighted_sum(chain) for chain in chains]
        prefixes = F.normalize(torch.stack(sums), dim=-1) if sums else self.prefixes[:0]
        return EncodedTexts(texts, units, prefixes)

    def _weighted_sum(self, chain: Sequence[int]) -> Tensor:
        total = torch.zeros_like(self.prefixes[0])
        for row in chain:  # in order: a sum's last bits depend on it
            total += self.prefixes[row] * len(self.units[row])
        return total

    def _chains(self, least: int, most: int, below: int | None) -> Iterator[list[int]]:
        chain: list[int] = []
        length = 0
        for row, units in enumerate(self.units):
            if length + len(units) > most or not _known(units, below):
                chain, length = [], 0
                continue
            chain.append(row)
            length += len(units)
            if length >= least:
                yield chain
                chain, length = [], 0


def _known(units: Sequence[int], below: int | None) -> bool:
    return below is None or max(units, default=0) < below
