"""What the prior expects of a target, and around every unit of a buffer: where Selector and Placer begin to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.priors.base import Belief, Prior

BELIEFS = 3
"""Log probabilities of each unit of a buffer in ``Seen.belief``."""
_ASKED = 16  # positions of an empty text over which the prior's queries are averaged


@dataclass(frozen=True)
class Targets:
    """B sentence embeddings, with what the prior expects of each.

    Attributes:
        prefix: the embeddings, unit length. Shape: (B, S).
        anywhere: query of a text of which nothing else is known. Shape: (B, E).
        size: units that the prior expects. Shape: (B,).
    """

    prefix: Tensor
    anywhere: Tensor
    size: Tensor

    @classmethod
    def of(cls, prior: Prior, prefix: Tensor, positions: int) -> Targets:
        """Ask the prior.

        Args:
            prior: over units and lengths.
            prefix: embeddings, unit length. Shape: (B, S).
            positions: lengths that the prior knows.
        """
        length = torch.full((len(prefix),), _ASKED, device=prefix.device)
        belief = Belief.empty(_ASKED, length, prefix)
        shares = prior.log_length(belief, positions).softmax(dim=1)
        size = (shares * torch.arange(positions, device=shares.device)).sum(dim=1)
        return cls(prefix, prior.queries(belief).mean(dim=1), size)

    def __len__(self) -> int:
        return len(self.prefix)

    def only(self, rows: Sequence[int]) -> Targets:
        """Some of them."""
        chosen = list(rows)
        return Targets(self.prefix[chosen], self.anywhere[chosen], self.size[chosen])


@dataclass(frozen=True)
class Seen:
    """What the networks see of B buffers of at most N units.

    Attributes:
        targets: of the buffers.
        slots: the prior's query for each slot, as if one unit were missing in every slot. Shape: (B, N + 1, E).
        belief: log probability of each unit where it stands, if a unit is missing in every slot, if none is missing,
            and of it anywhere in a text of that target; 0 beyond the buffer's end. Shape: (B, N, BELIEFS).
        vectors: of the buffer's units, 0 beyond its end. Shape: (B, N, E).
        length: units in each buffer. Shape: (B,).
    """

    targets: Targets
    slots: Tensor
    belief: Tensor
    vectors: Tensor
    length: Tensor

    @classmethod
    def of(cls, prior: Prior, targets: Targets, units: Tensor, length: Tensor) -> Seen:
        """Ask the prior; a position's query never sees what stands there itself.

        Args:
            prior: over units.
            targets: of the buffers.
            units: of the buffers, -1 beyond. Shape: (B, N).
            length: units in each buffer. Shape: (B,).
        """
        layer, inside = prior.output, units >= 0
        spread = units.new_full((len(units), 2 * units.shape[1] + 1), -1)
        spread[:, 1::2] = units
        certain = torch.ones_like(targets.size)
        queries = prior.queries(Belief.certain(spread, 2 * length + 1, targets.prefix, certain))
        complete = prior.queries(Belief.certain(units, length, targets.prefix, certain))
        vectors = layer.weight[units.clamp_min(0)] * inside[:, :, None]
        asked = (queries[:, 1::2], complete, targets.anywhere[:, None, :])
        logits = torch.stack([(vectors * query).sum(dim=2) for query in asked], dim=2)
        belief = (logits + layer.bias[units.clamp_min(0)][:, :, None]) * inside[:, :, None]
        return cls(targets, queries[:, 0::2], belief, vectors, length)
