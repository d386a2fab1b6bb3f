"""The Selector of the insertion loop: target embedding and buffer to an intention vector; the nearest units are next.

What stands in the buffer is summarised at three levels: unit by unit, window by window (a phrase), and all together.
The first two are read by attention from the target, so that the vector is what the target says and the buffer does
not. What is learned is added to what the prior expects of the target alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PREFIX_SCALE = 8.0
"""Brings a unit vector's entries to the order of 1."""
_COUNTED = 64  # units of a buffer that are counted one by one


class HierarchicalSummary(nn.Module):
    """A buffer as one vector: its units, its phrase windows and all of it, as the target looks at them.

    Args:
        embedding_dim: width of unit vectors.
        hidden_dim: H.
        window: units of a phrase window.
    """

    def __init__(self, embedding_dim: int, hidden_dim: int, window: int) -> None:
        super().__init__()
        self.unit = nn.Linear(embedding_dim, hidden_dim)
        self.phrase = nn.Conv1d(embedding_dim, hidden_dim, window, padding=window // 2)
        self.total = nn.Linear(embedding_dim, hidden_dim)
        self.count = nn.Embedding(_COUNTED, hidden_dim)
        self.looks = nn.Linear(hidden_dim, 2 * hidden_dim)
        self.nothing = nn.Parameter(torch.zeros(2, hidden_dim))
        self.join = nn.Linear(3 * hidden_dim, hidden_dim)

    def forward(self, target: Tensor, vectors: Tensor, length: Tensor) -> Tensor:
        """Summaries.

        Args:
            target: what looks at the buffer. Shape: (B, H).
            vectors: of the buffer's units, 0 beyond its end. Shape: (B, N, E).
            length: units in each buffer. Shape: (B,).

        Shape: (B, H).
        """
        n = vectors.shape[1]
        outside = torch.arange(n, device=length.device) >= length[:, None]
        units = F.gelu(self.unit(vectors))
        phrases = F.gelu(self.phrase(vectors.transpose(1, 2)).transpose(1, 2)[:, :n])
        looks = self.looks(target).chunk(2, dim=1)
        levels = [
            _attended(look, level, outside, nothing)
            for look, level, nothing in zip(looks, (units, phrases), self.nothing, strict=True)
        ]
        mean = vectors.sum(dim=1) / length.clamp_min(1).sqrt()[:, None]
        total = F.gelu(self.total(mean) + self.count(length.clamp_max(_COUNTED - 1)))
        summary: Tensor = self.join(torch.cat((*levels, total), dim=1))
        return summary


def _attended(look: Tensor, level: Tensor, outside: Tensor, nothing: Tensor) -> Tensor:
    """Mean of a level's vectors, weighted by their product with the look; ``nothing`` is always among them.

    Shape: look (B, H), level (B, N, H), outside (B, N), nothing (H,), result (B, H).
    """
    level = torch.cat((level, nothing.to(level.dtype).expand(len(level), 1, -1)), dim=1)
    scores = (level * look[:, None, :]).sum(dim=2) / look.shape[1] ** 0.5
    weights = scores.masked_fill(F.pad(outside, (0, 1)), -torch.inf).softmax(dim=1)
    mean: Tensor = (weights[:, :, None] * level).sum(dim=1)
    return mean


class IntentionSelector(nn.Module):
    """What is learned of intention vectors: a unit is the likelier to be next, the larger its product with one.

    Args:
        semantic_width: S.
        embedding_dim: width of unit vectors, E.
        hidden_dim: H.
        window: units of a phrase window.
    """

    def __init__(self, semantic_width: int, embedding_dim: int, hidden_dim: int, window: int) -> None:
        super().__init__()
        self.target = nn.Sequential(nn.Linear(semantic_width, hidden_dim), nn.GELU(), nn.LayerNorm(hidden_dim))
        self.summary = HierarchicalSummary(embedding_dim, hidden_dim, window)
        self.intention = nn.Sequential(
            nn.LayerNorm(2 * hidden_dim),
            nn.Linear(2 * hidden_dim, 2 * hidden_dim),
            nn.GELU(),
            nn.Linear(2 * hidden_dim, embedding_dim),
        )
        for parameter in self.intention[-1].parameters():  # untrained, it is the prior's
            nn.init.zeros_(parameter)

    def forward(self, prefix: Tensor, vectors: Tensor, length: Tensor) -> Tensor:
        """What is added to the prior's queries.

        Args:
            prefix: target embeddings, unit length. Shape: (B, S).
            vectors: of the buffer's units, 0 beyond its end. Shape: (B, N, E).
            length: units in each buffer. Shape: (B,).

        Shape: (B, E).
        """
        target = self.target(prefix * PREFIX_SCALE)
        summary = self.summary(target, vectors, length)
        learned: Tensor = self.intention(torch.cat((target, summary), dim=1))
        return learned
