"""The Selector: the intention vector of each position, from evidence, neighbouring units and the semantic prefix.

In Gaussian noise of variance ``v`` the log posterior of unit u given evidence e is ``<e, c(u)> / v + log p(u)``. That
part is exact and stays so. The network adds what physics does not know, ``<m, c(u)>``: the log odds of units here
given the units around and the meaning of the whole. Both are inner products with unit codes, so one intention vector
``e / v + m`` retrieves candidates from the index.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Slots:
    """What the Selector sees of B half-decoded texts, padded to N positions.

    Attributes:
        evidence: code of a committed unit; noisy copy of the code at an open position. Shape: (B, N, O).
        open: positions to predict. Shape: (B, N) bool.
        inside: positions before END; the rest is padding. Shape: (B, N) bool.
        semantic: given semantic prefix, unit length, or zeros. Shape: (B, S).
        variance: noise per dimension of open evidence. Shape: (B,).
        length: units before END. Shape: (B,).
    """

    evidence: Tensor
    open: Tensor
    inside: Tensor
    semantic: Tensor
    variance: Tensor
    length: Tensor


@dataclass(frozen=True)
class Intention:
    """The Selector's two outputs for M open positions.

    Attributes:
        raw: an intention whose inner product with a code, plus the weighted log prior, is a log posterior up to a
            constant: its length is the certainty. Shape: (M, O).
        normalised: its direction, for retrieval by cosine. Shape: (M, O).
        prior_weight: factor on the log unigram prior. Shape: ().
    """

    raw: Tensor
    normalised: Tensor
    prior_weight: Tensor


class Selector(nn.Module):
    """Evidence plus a learned prior over which units are likely here.

    Args:
        order_width: O.
        semantic_width: S.
        width: hidden width.
        layers: transformer layers.
        heads: attention heads.
        positions: most positions of a text.
    """

    def __init__(
        self, order_width: int, semantic_width: int, width: int, layers: int, heads: int, positions: int
    ) -> None:
        super().__init__()
        self.read = nn.Linear(order_width, width)
        self.meaning = nn.Linear(semantic_width, width)
        self.state = nn.Linear(_STATE_FEATURES, width)
        self.place = nn.Embedding(positions, width)
        self.kind = nn.Embedding(2, width)
        self.enter = nn.LayerNorm(width)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.leave = nn.LayerNorm(width)
        self.prior = nn.Linear(width, order_width)
        self.gain = nn.Linear(_STATE_FEATURES, 1)
        self.prior_weight = nn.Parameter(torch.ones(()))
        for start_at_physics in (self.prior, self.gain):
            nn.init.zeros_(start_at_physics.weight)
            nn.init.zeros_(start_at_physics.bias)

    def forward(self, slots: Slots) -> Intention:
        """Predict the intention of every open position, row by row.

        Shape: result raw and normalised (M, O), M = ``slots.open.sum()``, in row-major order.
        """
        state = _state_features(slots)
        signal = 1.0 / (1.0 + slots.variance * slots.evidence.shape[2])
        weight = torch.where(slots.open, signal.sqrt()[:, None], 1.0)
        hidden = self.read(slots.evidence * weight[:, :, None])
        hidden = hidden + (self.meaning(slots.semantic) + self.state(state))[:, None, :]
        hidden = hidden + self.place.weight[: hidden.shape[1]] + self.kind(slots.open.long())
        hidden = self.body(self.enter(hidden), src_key_padding_mask=~slots.inside)
        rows = slots.open.nonzero(as_tuple=True)
        learned = self.prior(self.leave(hidden[rows]))
        precision = torch.exp(self.gain(state)[:, 0]) / slots.variance
        raw = slots.evidence[rows] * precision[rows[0], None] + learned
        return Intention(raw, F.normalize(raw, dim=-1), self.prior_weight)


_STATE_FEATURES = 3


def _state_features(slots: Slots) -> Tensor:
    """Log noise-to-signal ratio, log length, share still open. Shape: (B, 3)."""
    ratio = torch.log(slots.variance * slots.evidence.shape[2])
    length = torch.log1p(slots.length.float())
    still_open = slots.open.sum(dim=1) / slots.length.clamp_min(1)
    return torch.stack((ratio / 4.0, length / 4.0, still_open), dim=1)
