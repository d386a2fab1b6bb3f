"""Ranking of texts for an embedding: how near they are, how fluent, and how likely the embedding makes them.

``score = nearness * cosine + fluency * log p_language_model + likelihood * log p_conditional``, in nats: a Bayesian
reading, where the cosine stands for the evidence and the two models for the prior. What a weight of zero would look at
is not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.generation.candidates import embed
from lexivert.generation.conditional_model import ConditionalModel
from lexivert.language_model.causal import CausalLanguageModel


@dataclass(frozen=True)
class Weights:
    """Of the ranking.

    Attributes:
        nearness: nats that a cosine of 1 is worth.
        fluency: of the language model's log probability.
        likelihood: of the conditional model's log probability.
    """

    nearness: float = 80.0
    fluency: float = 0.5
    likelihood: float = 0.5


@dataclass(frozen=True)
class Ranked:
    """A text and all that it is ranked by.

    Attributes:
        tokens: of the text.
        text: the text itself.
        cosine: with the given embedding.
        likelihood: log probability under the conditional model.
        fluency: log probability under the language model; 0 where it was not asked.
        score: in nats.
    """

    tokens: tuple[int, ...]
    text: str
    cosine: float
    likelihood: float
    fluency: float
    score: float


@dataclass(frozen=True)
class Ranker:
    """Ranks texts.

    Attributes:
        encoder: its backbone is what the cosine is of.
        conditional: told the embedding.
        language_model: None to do without fluency.
        weights: of the score.
    """

    encoder: Encoder
    conditional: ConditionalModel
    language_model: CausalLanguageModel | None
    weights: Weights

    def ranked(
        self, embeddings: Tensor, texts: Sequence[Sequence[tuple[Sequence[int], str]]], count: int, shortlist: int
    ) -> list[list[Ranked]]:
        """The best texts for each embedding, the best first.

        Args:
            embeddings: unit length. Shape: (B, S).
            texts: tokens and text of any number of candidates for each.
            count: texts wanted of each; fewer where there are no more.
            shortlist: so many that cosine and conditional model rank best are shown to the language model.
        """
        owner = [row for row, own in enumerate(texts) for _ in own]
        flat = [one for own in texts for one in own]
        if not flat:
            return [[] for _ in texts]
        told = embeddings[torch.tensor(owner, device=embeddings.device)]
        cosines = (embed(self.encoder, [text for _, text in flat]) * told.cpu()).sum(dim=1).tolist()
        likelihoods = self._likelihoods(told, [tokens for tokens, _ in flat])
        found: list[list[Ranked]] = [[] for _ in texts]
        for row, (tokens, text), cosine, likelihood in zip(owner, flat, cosines, likelihoods, strict=True):
            score = self.weights.nearness * cosine + self.weights.likelihood * likelihood
            found[row].append(Ranked(tuple(tokens), text, cosine, likelihood, 0.0, score))
        best = [sorted(own, key=lambda one: -one.score)[:shortlist] for own in found]
        if self.language_model is not None and self.weights.fluency:
            best = self._with_fluency(best)
        return [sorted(own, key=lambda one: -one.score)[:count] for own in best]

    def _likelihoods(self, embeddings: Tensor, tokens: Sequence[Sequence[int]]) -> list[float]:
        """Of each text, those of like length in one batch. Shape: (R, S)."""
        if not self.weights.likelihood:
            return [0.0] * len(tokens)
        found = torch.zeros(len(tokens))
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            rows = order[start : start + _TEXTS_AT_ONCE]
            found[rows] = self.conditional.log_probabilities(embeddings[rows], [tokens[row] for row in rows]).cpu()
        values: list[float] = found.tolist()
        return values

    def _with_fluency(self, texts: Sequence[Sequence[Ranked]]) -> list[list[Ranked]]:
        assert self.language_model is not None
        flat = [one.text for own in texts for one in own]
        values = iter(self.language_model.log_probability(flat).tolist())
        weight = self.weights.fluency
        return [[_fluent(one, next(values), weight) for one in own] for own in texts]


_TEXTS_AT_ONCE = 256


def _fluent(one: Ranked, value: float, weight: float) -> Ranked:
    score = one.score + weight * value
    return Ranked(one.tokens, one.text, one.cosine, one.likelihood, value, score)
