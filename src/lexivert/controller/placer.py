"""The Placer: a tiny transformer that tells how surely a candidate unit belongs at a position.

Starting point is the Selector's posterior over the candidates; the network corrects it by what a posterior that
treats positions one by one can't see: how the positions around are going, and how well the units committed there
explain the vector. The decode loop commits what is surest, so the Placer decides the order of decoding and what is
revised.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SLOT_FEATURES = 6
CANDIDATE_FEATURES = 5
_CERTAIN = 12.0


@dataclass(frozen=True)
class Placement:
    """What the Placer sees: B texts padded to N positions, M of them open with K candidates each.

    Attributes:
        slots: features of every position. Shape: (B, N, SLOT_FEATURES).
        inside: positions before END. Shape: (B, N) bool.
        rows: text and position of each open position. Shape: two (M,).
        candidates: features of every candidate. Shape: (M, K, CANDIDATE_FEATURES).
        log_odds: log odds of each candidate under the Selector's posterior. Shape: (M, K).
    """

    slots: Tensor
    inside: Tensor
    rows: tuple[Tensor, Tensor]
    candidates: Tensor
    log_odds: Tensor


class Placer(nn.Module):
    """Scores (unit, position) pairs.

    Args:
        width: hidden width.
        layers: transformer layers.
        heads: attention heads.
    """

    def __init__(self, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.enter = nn.Sequential(nn.Linear(SLOT_FEATURES, width), nn.LayerNorm(width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.mix = nn.Sequential(nn.Linear(width + CANDIDATE_FEATURES, width), nn.GELU())
        self.correction = nn.Linear(width, 1)
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)

    def forward(self, placement: Placement) -> Tensor:
        """Return the log odds that each candidate is right where it is proposed. Shape: (M, K)."""
        hidden = self.body(self.enter(placement.slots), src_key_padding_mask=~placement.inside)
        around = hidden[placement.rows][:, None, :].expand(-1, placement.candidates.shape[1], -1)
        mixed = self.mix(torch.cat((around, placement.candidates), dim=-1))
        corrected: Tensor = placement.log_odds.clamp(-_CERTAIN, _CERTAIN) + self.correction(mixed)[:, :, 0]
        return corrected
