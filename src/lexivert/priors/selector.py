"""The Selector, a log-bilinear language model: which units are likely, given neighbours and semantic prefix.

In Gaussian noise of variance ``v`` the log posterior of unit u given evidence e is ``<e, c(u)> / v + log p(u)`` up to
a constant. The first part is exact and nothing is learned about it. The Selector is the second, the prior: a
log-bilinear language model (Mnih & Hinton 2007) that says ``log p(u) = <q, g(u)> + b(u)`` with a query q for every
position, made of the semantic prefix, of the nearest neighbours on either side and of all other units together. A
position's query never sees what is believed of that position itself. So within a round prior and evidence may be
multiplied, and the loop's divergence is that of the evidence alone; over rounds the neighbours, whose posteriors
have seen this position's earlier guess, carry a little of it back, which is why confidences are calibrated on full
decodes. Nothing in it depends on the width of the order part. Reading a window, not all of the text with a
transformer, is what makes training on enough texts affordable.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexivert.priors.base import Belief, ruled_out_eos
from lexivert.search.output_layer import OutputLayer
from lexivert.training.partition import log_partition

_NEAR = 64  # places counted from either end of a text; those further inside look alike
_SURETY = 2  # probability of the likeliest candidate, and of all candidates together
_PREFIX_SCALE = 8.0  # brings a unit vector's entries to the order of 1
_LENGTH_FLOOR = 0.02  # share of the length prior that is spread evenly, so that no length is ruled out


class UnitEmbeddings(nn.Module):
    """Unit vectors g(u) and biases b(u) in training: projected features, and free vectors for frequent units.

    Args:
        features: backbone features of all units. Shape: (V, H).
        log_prior: log unigram probability, where the biases begin. Shape: (V,).
        embedding_dim: H, width of unit vectors.
        free: the first so many units have a free vector beside the projected one.
    """

    features: Tensor

    def __init__(self, features: Tensor, log_prior: Tensor, embedding_dim: int, free: int) -> None:
        super().__init__()
        scaled = F.normalize(features.float(), dim=-1) * _PREFIX_SCALE
        self.register_buffer("features", scaled, persistent=False)
        self.project = nn.Linear(features.shape[1], embedding_dim, bias=False)
        nn.init.normal_(self.project.weight, std=0.04)
        self.free = nn.Parameter(torch.zeros(min(free, len(features)), embedding_dim))
        self.bias = nn.Parameter(log_prior.clone())

    def forward(self, units: Tensor) -> Tensor:
        """Vectors of some units. Shape: (m,) to (m, H)."""
        count = len(self.free)
        own = F.embedding(units.clamp(max=count - 1), self.free)
        vectors: Tensor = self.project(self.features[units])
        return vectors + own * (units < count)[:, None]

    def log_partition(self, queries: Tensor, features: Tensor) -> Tensor:
        """``log sum_u exp(<q, g(u)> + b(u))`` over all units, from ``features`` in the format to multiply in.

        Queries are projected back to the features' space, ``<q, W f> = <W' q, f>``: so no unit's vector is made, and
        the features, which are given, need no gradient.

        Shape: queries (B, H), features (V, F), result (B,).
        """
        free, dtype = len(self.free), features.dtype
        there = F.linear(queries, self.project.weight.T)
        frequent = torch.cat((features[:free], self.free.to(dtype)), dim=1)
        total = log_partition(torch.cat((there, queries), dim=1), frequent, self.bias[:free], dtype)
        if free == len(features):
            return total
        return torch.logaddexp(total, log_partition(there, features[free:], self.bias[free:], dtype))


class Selector(nn.Module):
    """Prior over units for every position, and over lengths.

    Args:
        semantic_width: S.
        embedding_dim: H, width of unit vectors.
        hidden_dim: width of the hidden layers.
        context_window: neighbours seen one by one on either side.
        positions: most positions of a text, EOS's included.
    """

    def __init__(
        self, semantic_width: int, embedding_dim: int, hidden_dim: int, context_window: int, positions: int
    ) -> None:
        super().__init__()
        self.context_window = context_window
        self.positions = positions
        self.edges = nn.Parameter(torch.randn(2, embedding_dim + _SURETY) / 2)
        self.neighbours = nn.Linear(2 * context_window * (embedding_dim + _SURETY), hidden_dim)
        self.others = nn.Linear(embedding_dim, hidden_dim)
        self.prefix = nn.Linear(semantic_width + 1, hidden_dim)
        self.position = nn.Embedding(_NEAR, hidden_dim)
        self.position_from_end = nn.Embedding(_NEAR, hidden_dim)
        self.query = nn.Sequential(
            nn.GELU(),
            nn.LayerNorm(hidden_dim),
            nn.Linear(hidden_dim, hidden_dim),
            nn.GELU(),
            nn.LayerNorm(hidden_dim),
            nn.Linear(hidden_dim, embedding_dim),
        )
        self.bag_of_words = nn.Sequential(
            nn.Linear(semantic_width + 1, 2 * hidden_dim), nn.GELU(), nn.Linear(2 * hidden_dim, embedding_dim)
        )
        self.length = nn.Sequential(
            nn.Linear(semantic_width + 1, hidden_dim), nn.GELU(), nn.Linear(hidden_dim, positions)
        )
        for network in (self.query, self.bag_of_words):  # where untrained, the prior is the unigram one
            for parameter in network[-1].parameters():
                nn.init.zeros_(parameter)

    def forward(self, belief: Belief, vectors: Tensor) -> Tensor:
        """Queries of every position.

        Args:
            belief: what is known.
            vectors: of ``belief.units``. Shape: (B, N, k, H).

        Shape: (B, N, H).
        """
        marginals = belief.marginals
        n = marginals.shape[1]
        positions = torch.arange(n, device=marginals.device)
        beyond = (positions >= belief.length[:, None])[:, :, None]
        expected = (vectors * marginals[:, :, :, None]).sum(dim=2).masked_fill(beyond, 0.0)
        others = expected.sum(dim=1, keepdim=True) - expected
        others = others / belief.length.clamp_min(1).float().sqrt()[:, None, None]
        from_end = belief.length[:, None] - 1 - positions
        prefix = _prefix(belief)
        hidden = (
            self.neighbours(self._around(expected, marginals, beyond))
            + self.others(others)
            + self.prefix(prefix)[:, None, :]
            + self.position(positions.clamp(max=_NEAR - 1))
            + self.position_from_end(from_end.clamp(0, _NEAR - 1))
        )
        queries: Tensor = self.bag_of_words(prefix)[:, None, :] + self.query(hidden)
        return queries

    def _around(self, vectors: Tensor, marginals: Tensor, beyond: Tensor) -> Tensor:
        """Expected vectors of the neighbours on either side, and how sure they are; ends look like themselves.

        Shape: vectors (B, N, H), marginals (B, N, k), beyond (B, N, 1), result (B, N, 2 · window · (H + _SURETY)).
        """
        batch, n, _ = vectors.shape
        before, after = (edge.expand(batch, self.context_window, -1) for edge in self.edges)
        seen = torch.cat((vectors, marginals[:, :, :1], marginals.sum(dim=2, keepdim=True)), dim=2)
        seen = torch.cat((before, torch.where(beyond, self.edges[1], seen), after), dim=1)
        places = [place for place in range(2 * self.context_window + 1) if place != self.context_window]
        return torch.cat([seen[:, place : place + n] for place in places], dim=2)

    def bag_of_words_query(self, belief: Belief) -> Tensor:
        """What the semantic prefix alone makes likely, wherever in the text. Shape: (B, H)."""
        query: Tensor = self.bag_of_words(_prefix(belief))
        return query

    def length_logits(self, belief: Belief) -> Tensor:
        """Unnormalised log probability of every length, for training. Shape: (B, positions)."""
        logits: Tensor = self.length(_prefix(belief))
        return logits

    def log_length(self, belief: Belief) -> Tensor:
        """Log probability of every length, none ruled out. Shape: (B, positions)."""
        learned = self.length_logits(belief).softmax(dim=1)
        return torch.log((1.0 - _LENGTH_FLOOR) * learned + _LENGTH_FLOOR / self.positions)


def _prefix(belief: Belief) -> Tensor:
    """Semantic prefix as its noise leaves it believable, and that cosine. Shape: (B, S + 1)."""
    cosine = belief.cosine[:, None]
    return torch.cat((belief.prefix * cosine * _PREFIX_SCALE, cosine), dim=1)


@dataclass(frozen=True)
class SelectorPrior:
    """The Selector as a prior: its queries, and the vectors and biases of all units.

    Attributes:
        output: unit vectors g (V, H) and biases b (V,).
        selector: gives the queries.
    """

    output: OutputLayer
    selector: Selector

    @classmethod
    def of(cls, selector: Selector, vectors: Tensor, bias: Tensor) -> SelectorPrior:
        """From a Selector with its unit vectors (V, H) and biases (V,); EOS is ruled out."""
        return cls(ruled_out_eos(OutputLayer(vectors, bias)), selector)

    def queries(self, belief: Belief) -> Tensor:
        """One query for every position. Shape: (B, N, H)."""
        queries: Tensor = self.selector(belief, self.output.weight[belief.units.clamp_min(0)])
        return queries

    def log_length(self, belief: Belief, positions: int) -> Tensor:
        """Log probability of every length, none ruled out. Shape: (B, positions)."""
        if positions != self.selector.positions:
            raise ValueError(f"the Selector knows {self.selector.positions} lengths, not {positions}")
        return self.selector.log_length(belief)

    def without(self, units: Sequence[int]) -> SelectorPrior:
        """The same prior with some units ruled out."""
        return SelectorPrior(self.output.without(units), self.selector)

    def to(self, device: torch.device | str) -> SelectorPrior:
        """The same prior on a device; what lies on another one is copied."""
        output = self.output.to(device)
        if output is self.output:
            return self
        return SelectorPrior(output, copy.deepcopy(self.selector).to(device))
