"""The Placer of the insertion loop: a tiny transformer over the buffer, which says what belongs where.

It sees the units that stand there and the target. For every slot between them it gives a query, so that ``<query,
g(u)> + b(u) + slot`` is the log probability, up to a constant, that unit u is inserted there next; whether anything
is missing there at all; and of every unit, whether it belongs where it stands. A unit that does not is taken out: to
be inserted elsewhere is to be moved, and another one in its slot replaces it. What is learned is added to what the
prior expects between the units around a slot (``generation.expectations``).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexivert.generation.expectations import BELIEFS, Seen
from lexivert.generation.intention import PREFIX_SCALE
from lexivert.text.lexicon import NEVER

_FAR = 16
"""Distance from which on units look equally far from each other."""
_NATS, _UNITS = 4.0, 8.0
"""What brings log probabilities and counts of units to the order of 1."""
_SIZES = 3  # units that are expected, that are there, and the difference


@dataclass(frozen=True)
class Placements:
    """What the Placer says of B buffers of at most N units.

    Attributes:
        queries: of every slot, the one behind the last unit included. Shape: (B, N + 1, E).
        slots: log weight of each slot; ``NEVER`` beyond a buffer's end. Shape: (B, N + 1).
        open: logit that something is missing in a slot; ``NEVER`` beyond. Shape: (B, N + 1).
        wrong: logit that a unit does not belong where it stands; ``NEVER`` beyond. Shape: (B, N).
    """

    queries: Tensor
    slots: Tensor
    open: Tensor
    wrong: Tensor


class InsertionPlacer(nn.Module):
    """Transformer over the buffer, with relative positions (Shaw et al. 2018; a bias a distance, Raffel et al. 2020).

    Args:
        semantic_width: S.
        embedding_dim: width of unit vectors, E.
        hidden_dim: H.
        layers: of the transformer.
        heads: of each layer.
    """

    def __init__(self, semantic_width: int, embedding_dim: int, hidden_dim: int, layers: int, heads: int) -> None:
        super().__init__()
        self.unit = nn.Linear(embedding_dim, hidden_dim)
        self.belief = nn.Linear(BELIEFS, hidden_dim)
        self.target = nn.Linear(semantic_width, hidden_dim)
        self.size = nn.Linear(_SIZES, hidden_dim)
        self.edges = nn.Parameter(torch.randn(2, hidden_dim) / 2)
        self.layers = nn.ModuleList(Layer(hidden_dim, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(hidden_dim)
        self.slot = nn.Sequential(nn.Linear(2 * hidden_dim, hidden_dim), nn.GELU(), nn.LayerNorm(hidden_dim))
        self.query = nn.Linear(hidden_dim, embedding_dim)
        self.slot_scores = nn.Linear(hidden_dim + _SIZES, 2)
        self.wrong = nn.Linear(hidden_dim + BELIEFS, 1)
        for parameter in (*self.query.parameters(), *self.slot_scores.parameters(), *self.wrong.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, seen: Seen) -> Placements:
        """Judge buffers."""
        length, (batch, n, _) = seen.length, seen.vectors.shape
        places = torch.arange(n + 2, device=length.device)
        belief = seen.belief / _NATS
        units = F.pad(self.unit(seen.vectors) + self.belief(belief), (0, 0, 1, 1))
        first, last = (places == 0)[:, None], (places == length[:, None] + 1)[:, :, None]
        units = torch.where(first, self.edges[0], torch.where(last, self.edges[1], units))
        sizes = torch.stack((seen.targets.size, length.float(), seen.targets.size - length), dim=1) / _UNITS
        hidden = units + (self.target(seen.targets.prefix * PREFIX_SCALE) + self.size(sizes))[:, None, :]
        outside = places > length[:, None] + 1
        distance = (places[None, :] - places[:, None]).clamp(-_FAR, _FAR) + _FAR
        for layer in self.layers:
            hidden = layer(hidden, distance, outside)
        hidden = self.norm(hidden)
        slots = self.slot(torch.cat((hidden[:, :-1], hidden[:, 1:]), dim=2))
        scores = self.slot_scores(torch.cat((slots, sizes[:, None, :].expand(-1, n + 1, -1)), dim=2)).float()
        beyond = torch.arange(n + 1, device=length.device) > length[:, None]
        wrong = self.wrong(torch.cat((hidden[:, 1:-1], belief), dim=2))[:, :, 0].float()
        return Placements(
            queries=seen.slots + self.query(slots).float(),
            slots=scores[:, :, 0].masked_fill(beyond, NEVER),
            open=scores[:, :, 1].masked_fill(beyond, NEVER),
            wrong=wrong.masked_fill(beyond[:, 1:], NEVER).view(batch, n),
        )


class Layer(nn.Module):
    """Self-attention and a feed-forward network, each behind a layer norm and with a residual connection.

    Args:
        hidden_dim: H.
        heads: of the attention.
    """

    def __init__(self, hidden_dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(hidden_dim)
        self.parts = nn.Linear(hidden_dim, 3 * hidden_dim)
        self.near = nn.Parameter(torch.zeros(heads, 2 * _FAR + 1))
        self.out = nn.Linear(hidden_dim, hidden_dim)
        self.feed = nn.Sequential(
            nn.LayerNorm(hidden_dim),
            nn.Linear(hidden_dim, 4 * hidden_dim),
            nn.GELU(),
            nn.Linear(4 * hidden_dim, hidden_dim),
        )

    def forward(self, hidden: Tensor, distance: Tensor, outside: Tensor) -> Tensor:
        """The next hidden states.

        Args:
            hidden: Shape: (B, M, H).
            distance: row of ``near`` for each pair of places. Shape: (M, M).
            outside: places that nothing sees. Shape: (B, M).

        Shape: (B, M, H).
        """
        batch, m, width = hidden.shape
        split = self.parts(self.before(hidden)).view(batch, m, 3, self.heads, width // self.heads)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)
        scores = queries @ keys.transpose(2, 3) / (width // self.heads) ** 0.5 + self.near[:, distance]
        weights = scores.masked_fill(outside[:, None, None, :], -torch.inf).softmax(dim=3).to(values.dtype)
        hidden = hidden + self.out((weights @ values).transpose(1, 2).reshape(batch, m, width))
        changed: Tensor = hidden + self.feed(hidden)
        return changed
