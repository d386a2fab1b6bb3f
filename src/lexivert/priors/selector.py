"""The Selector: which units are likely at a position, given the units around it and the semantic prefix.

In Gaussian noise of variance ``v`` the log posterior of unit u given evidence e is ``<e, c(u)> / v + log p(u)`` up to
a constant. The first part is exact and nothing is learned about it. The Selector is the second, the prior: a
log-bilinear language model (Mnih & Hinton 2007) that says ``log p(u) = <q, g(u)> + b(u)`` with a query q for every
position, made of the semantic prefix, of the nearest neighbours on either side and of all other units together. A
position's query never sees what is held at that position itself. So within a round prior and evidence may be
multiplied, and the loop's divergence is that of the evidence alone; over rounds the neighbours, whose posteriors
have seen this position's earlier guess, carry a little of it back, which is why confidences are calibrated on whole
decodes. Nothing in it depends on the order part's
width. Reading a window, not the whole text with transformers, is what makes training on enough texts affordable.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HELD = 3
"""Candidates by which the Selector sees what is held at a position."""
_NEAR = 64  # places counted from either end of a text; those further inside look alike
_SURETY = 2  # probability of the likeliest candidate, and of all candidates together
_PREFIX_SCALE = 8.0  # brings a unit vector's entries to the order of 1
_LENGTH_FLOOR = 0.02  # share of the length prior that is spread evenly, so that no length is ruled out


@dataclass(frozen=True)
class Context:
    """What the Selector sees of B half-decoded texts, padded to N positions.

    Attributes:
        units: candidates held at each position, -1 for none. Shape: (B, N, HELD).
        shares: probability of each, 1 for a committed unit, 0 for none. Shape: (B, N, HELD).
        length: units before EOS, as now believed. Shape: (B,).
        semantic: given semantic prefixes, unit length. Shape: (B, S).
        cosine: expected cosine of each with the clean one; 0 if there is none. Shape: (B,).
    """

    units: Tensor
    shares: Tensor
    length: Tensor
    semantic: Tensor
    cosine: Tensor

    @classmethod
    def certain(cls, units: Tensor, length: Tensor, semantic: Tensor, cosine: Tensor) -> Context:
        """What is held is certain; nothing is known where it is -1. Shape: units (B, N), the others as above."""
        held = torch.full((*units.shape, HELD), -1)
        held[:, :, 0] = units
        shares = torch.zeros(held.shape)
        shares[:, :, 0] = (units >= 0).float()
        return cls(held, shares, length, semantic, cosine)


class UnitEmbeddings(nn.Module):
    """Unit vectors g(u) and biases b(u) in training: projected features, and free vectors for frequent units.

    Args:
        features: backbone features of all units. Shape: (V, H).
        log_prior: log unigram probability, where the biases begin. Shape: (V,).
        rank: R.
        free: the first so many units have a free vector beside the projected one.
    """

    features: Tensor

    def __init__(self, features: Tensor, log_prior: Tensor, rank: int, free: int) -> None:
        super().__init__()
        scaled = F.normalize(features.float(), dim=-1) * _PREFIX_SCALE
        self.register_buffer("features", scaled, persistent=False)
        self.project = nn.Linear(features.shape[1], rank, bias=False)
        nn.init.normal_(self.project.weight, std=0.04)
        self.free = nn.Parameter(torch.zeros(min(free, len(features)), rank))
        self.bias = nn.Parameter(log_prior.clone())

    def forward(self, units: Tensor) -> Tensor:
        """Vectors of some units. Shape: (M,) to (M, R)."""
        count = len(self.free)
        own = F.embedding(units.clamp(max=count - 1), self.free)
        vectors: Tensor = self.project(self.features[units])
        return vectors + own * (units < count)[:, None]

    def every(self, features: Tensor) -> Tensor:
        """Vectors of all units, from ``features`` in the number format that products are wanted in.

        Shape: (V, H) to (V, R).
        """
        vectors = F.linear(features, self.project.weight.to(features.dtype)).float()
        vectors[: len(self.free)] += self.free
        return vectors


class Selector(nn.Module):
    """Prior over units for every position, and over lengths.

    Args:
        semantic_width: S.
        rank: R, width of unit vectors.
        width: hidden width.
        reach: neighbours seen one by one on either side.
        positions: most positions of a text, EOS's included.
    """

    def __init__(self, semantic_width: int, rank: int, width: int, reach: int, positions: int) -> None:
        super().__init__()
        self.reach = reach
        self.positions = positions
        self.edges = nn.Parameter(torch.randn(2, rank + _SURETY) / 2)
        self.neighbours = nn.Linear(2 * reach * (rank + _SURETY), width)
        self.others = nn.Linear(rank, width)
        self.meaning = nn.Linear(semantic_width + 1, width)
        self.place = nn.Embedding(_NEAR, width)
        self.place_from_end = nn.Embedding(_NEAR, width)
        self.query = nn.Sequential(
            nn.GELU(),
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            nn.LayerNorm(width),
            nn.Linear(width, rank),
        )
        self.topic = nn.Sequential(nn.Linear(semantic_width + 1, 2 * width), nn.GELU(), nn.Linear(2 * width, rank))
        self.length = nn.Sequential(nn.Linear(semantic_width + 1, width), nn.GELU(), nn.Linear(width, positions))
        for network in (self.query, self.topic):  # where untrained, the prior is the unigram one
            for parameter in network[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, context: Context, held: Tensor) -> Tensor:
        """Queries of every position.

        Args:
            context: what is known.
            held: vectors of ``context.units``. Shape: (B, N, HELD, R).

        Shape: (B, N, R).
        """
        shares = context.shares
        n = shares.shape[1]
        positions = torch.arange(n)
        beyond = (positions >= context.length[:, None])[:, :, None]
        vectors = (held * shares[:, :, :, None]).sum(dim=2).masked_fill(beyond, 0.0)
        others = vectors.sum(dim=1, keepdim=True) - vectors
        others = others / context.length.clamp_min(1).float().sqrt()[:, None, None]
        from_end = context.length[:, None] - 1 - positions
        prefix = _prefix(context)
        hidden = (
            self.neighbours(self._around(vectors, shares, beyond))
            + self.others(others)
            + self.meaning(prefix)[:, None, :]
            + self.place(positions.clamp(max=_NEAR - 1))
            + self.place_from_end(from_end.clamp(0, _NEAR - 1))
        )
        queries: Tensor = self.topic(prefix)[:, None, :] + self.query(hidden)
        return queries

    def _around(self, vectors: Tensor, shares: Tensor, beyond: Tensor) -> Tensor:
        """What is held at the neighbours on either side, and how surely; the ends of the text look like themselves.

        Shape: vectors (B, N, R), shares (B, N, HELD), beyond (B, N, 1), result (B, N, 2 · reach · (R + _SURETY)).
        """
        batch, n, _ = vectors.shape
        before, after = (edge.expand(batch, self.reach, -1) for edge in self.edges)
        seen = torch.cat((vectors, shares[:, :, :1], shares.sum(dim=2, keepdim=True)), dim=2)
        seen = torch.cat((before, torch.where(beyond, self.edges[1], seen), after), dim=1)
        places = [place for place in range(2 * self.reach + 1) if place != self.reach]
        return torch.cat([seen[:, place : place + n] for place in places], dim=2)

    def topic_query(self, context: Context) -> Tensor:
        """What the semantic prefix alone makes likely, wherever in the text. Shape: (B, R)."""
        query: Tensor = self.topic(_prefix(context))
        return query

    def length_logits(self, context: Context) -> Tensor:
        """Unnormalised log probability of every length, for training. Shape: (B, positions)."""
        logits: Tensor = self.length(_prefix(context))
        return logits

    def log_length(self, context: Context) -> Tensor:
        """Log probability of every length, none ruled out. Shape: (B, positions)."""
        learned = self.length_logits(context).softmax(dim=1)
        return torch.log((1.0 - _LENGTH_FLOOR) * learned + _LENGTH_FLOOR / self.positions)


def _prefix(context: Context) -> Tensor:
    """Semantic prefix as its noise leaves it believable, and that cosine. Shape: (B, S + 1)."""
    cosine = context.cosine[:, None]
    return torch.cat((context.semantic * cosine * _PREFIX_SCALE, cosine), dim=1)
