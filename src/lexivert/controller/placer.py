"""The Placer, an easy-first commit schedule: which pairs are committed next, which commits are looked at again.

The surest pairs go first, since what they leave of the vector makes the others surer (compare mask-predict,
Ghazvininejad et al. 2019). It decides by the posterior alone, in which evidence and prior both are, and learns
nothing: a transformer that was trained to correct the posterior read no text more (docs/log).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Placer:
    """Rules of placement.

    Attributes:
        probability: from which on a pair is committed.
        probability_among_frequent: the same, for a unit that was looked for among the frequent ones alone; a rare one
            that is spelled alike may be the right one.
        share: where nothing is so probable, this share of a text's open positions is committed, the likeliest first.
        deviations: a committed unit is examined again when its evidence falls so many deviations short.
    """

    probability: float
    probability_among_frequent: float
    share: float
    deviations: float

    def commits(self, rows: Tensor, probability: Tensor, waiting: Tensor) -> Tensor:
        """Mark the pairs to commit: the sure ones; in a text that has none, the easiest, unless it waits.

        Args:
            rows: text of each pair, one pair a position and at least one in all. Shape: (m,).
            probability: posterior of the pair. Shape: (m,).
            waiting: positions that will be searched more widely before anything must be committed. Shape: (m,) bool.

        Shape: (m,) bool.
        """
        sure = probability >= torch.where(waiting, self.probability_among_frequent, self.probability)
        moving = torch.zeros(int(rows.max()) + 1, dtype=torch.bool, device=rows.device)
        moving[rows[sure | waiting]] = True
        return sure | (_easiest(rows, probability, self.share) & ~moving[rows])

    def doubts(self, strength: Tensor, variance: Tensor) -> Tensor:
        """Tell which commits have too little evidence of their own.

        Args:
            strength: inner product of a committed code with its own evidence, 1 where right, but for noise.
                Shape: (m,).
            variance: of that noise. Shape: (m,).

        Shape: (m,) bool.
        """
        return strength < 1.0 - self.deviations * variance.sqrt()


def _easiest(rows: Tensor, probability: Tensor, share: float) -> Tensor:
    """Mark ``share`` of each text's pairs, and at least one, the most probable first. Shape: (m,) bool."""
    order = torch.argsort(-probability, stable=True)
    order = order[torch.argsort(rows[order], stable=True)]
    counts = torch.bincount(rows)
    starts = torch.cumsum(counts, 0) - counts
    place = torch.arange(len(rows), device=rows.device) - starts[rows[order]]
    chosen = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    chosen[order] = place < torch.ceil(share * counts)[rows[order]]
    return chosen
