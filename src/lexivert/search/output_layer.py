"""Output layers of priors: a vector and a bias for every unit, whose logits are added to products of codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lexivert.search.int8 import Int8Vectors, RoundedQueries
from lexivert.text.lexicon import NEVER


@dataclass(frozen=True)
class OutputLayer:
    """Logits ``<q, weight[u]> + bias[u]``, as of a language model's last layer.

    Attributes:
        weight: a vector a unit; H may be 0. Shape: (V, H).
        bias: Shape: (V,).
    """

    weight: Tensor
    bias: Tensor
    _rounded: list[Int8Vectors] = field(default_factory=list, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.bias)

    def logits(self, queries: Tensor) -> Tensor:
        """Logits of all units. Shape: (..., H) to (..., V)."""
        return queries @ self.weight.T + self.bias

    def some_logits(self, queries: Tensor, units: Tensor) -> Tensor:
        """Logits of some units; those of a negative id are unit 0's. Shape: (m, H) and (m, k), result (m, k)."""
        units = units.clamp_min(0)
        return torch.bmm(self.weight[units], queries[:, :, None])[:, :, 0] + self.bias[units]

    def rounded_logits(self, queries: Tensor, count: int) -> Tensor:
        """Logits of the first ``count`` units, in eight bits but for the bias, which may be as large as it likes.

        Shape: (m, H) to (m, count).
        """
        return self.block(self.rounded(queries), slice(0, count))

    def rounded(self, queries: Tensor) -> RoundedQueries:
        """Queries as they are multiplied, for ``block``. Shape: (m, H)."""
        if not self.weight.shape[1]:
            return RoundedQueries(queries, queries[:, :0])
        if not self._rounded:
            self._rounded.append(Int8Vectors(self.weight))
        return self._rounded[0].rounded(queries)

    def block(self, queries: RoundedQueries, part: slice) -> Tensor:
        """Rounded logits of some units. Shape: (m, units)."""
        bias = self.bias[part]
        if not self.weight.shape[1]:
            return bias.repeat(len(queries.values), 1)
        products = self._rounded[0].block(queries, part).float()  # at once, as mixed types are slow
        return products.mul_(queries.factor).add_(bias)

    def without(self, units: Sequence[int]) -> OutputLayer:
        """The same layer with some units ruled out; vectors are shared."""
        bias = self.bias.clone()
        bias[list(units)] = NEVER
        return replace(self, bias=bias)

    def to(self, device: torch.device | str) -> OutputLayer:
        """The same layer on a device."""
        if self.weight.device == torch.device(device):
            return self
        return OutputLayer(self.weight.to(device), self.bias.to(device))
