"""Ranking of texts for an embedding: how near they are, how fluent, and how likely the embedding makes them.

The score is a weighted sum of the cosine, of the mean log probability of a token under the language model and under
the conditional model, of the log probability of the length, and of the share of repeated words. Means, since sums
would make short texts the best: they say little, and so have little to be surprised at. What has a weight of zero is
not computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.generation.base import Candidate
from lexivert.generation.candidates import embed
from lexivert.generation.conditional_model import ConditionalModel
from lexivert.generation.params import RankingWeights
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.priors.base import Belief, Prior
from lexivert.text.words import repeated_share

_TEXTS_AT_ONCE = 256


@dataclass(frozen=True)
class Ranked:
    """A text and all that it is ranked by.

    Attributes:
        tokens: of the text.
        text: the text itself.
        score: of all that has a weight.
        cosine: with the given embedding.
        embedding: its own, unit length. Shape: (S,).
        log_probability: under the language model; None where it has not read the text.
    """

    tokens: tuple[int, ...]
    text: str
    score: float
    cosine: float
    embedding: Tensor = field(repr=False, compare=False)
    log_probability: float | None = None

    @property
    def candidate(self) -> Candidate:
        """What is given back of it."""
        return Candidate(self.text, self.cosine, self.log_probability)


@dataclass(frozen=True)
class Ranker:
    """Ranks texts.

    Attributes:
        encoder: its backbone is what the cosine is of.
        prior: has the length posterior.
        conditional: told the embedding.
        language_model: reads the shortlist.
        weights: of the score.
    """

    encoder: Encoder
    prior: Prior
    conditional: ConditionalModel
    language_model: CausalLanguageModel
    weights: RankingWeights

    def ranked(
        self, embeddings: Tensor, texts: Sequence[Sequence[tuple[Sequence[int], str]]], shortlist: int
    ) -> list[list[Ranked]]:
        """The best ``shortlist`` texts for each embedding by all but their fluency, then sorted by all.

        Args:
            embeddings: unit length. Shape: (B, S).
            texts: tokens and text of any number of candidates for each.
            shortlist: texts of each that are read by the language model, and given back.
        """
        owner = torch.tensor([row for row, own in enumerate(texts) for _ in own], dtype=torch.int64)
        flat = [one for own in texts for one in own]
        told = embeddings[owner.to(embeddings.device)]
        own = embed(self.encoder, [text for _, text in flat])
        cosines = (own * told.cpu()).sum(dim=1)
        scores = self.weights.nearness * cosines
        if self.weights.likelihood:
            sums = self._likelihoods(told, [tokens for tokens, _ in flat])
            scores += self.weights.likelihood * sums / torch.tensor([1.0 + len(tokens) for tokens, _ in flat])
        if self.weights.length:
            scores += self.weights.length * self._lengths(embeddings, owner, [text for _, text in flat])
        if self.weights.repetition:
            scores -= self.weights.repetition * torch.tensor([repeated_share(text) for _, text in flat])
        found: list[list[Ranked]] = [[] for _ in texts]
        for row, (tokens, text), score, cosine, embedding in zip(
            owner.tolist(), flat, scores.tolist(), cosines.tolist(), own, strict=True
        ):
            found[row].append(Ranked(tuple(tokens), text, score, cosine, embedding))
        best = [best_of(texts, shortlist) for texts in found]
        return [best_of(texts, shortlist) for texts in self._read(best)]

    def _likelihoods(self, embeddings: Tensor, tokens: Sequence[Sequence[int]]) -> Tensor:
        """Log probability of each text under the conditional model. Shape: (R, S) to (R,)."""
        found = torch.zeros(len(tokens))
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        for start in range(0, len(order), _TEXTS_AT_ONCE):  # those of like length in one batch
            rows = order[start : start + _TEXTS_AT_ONCE]
            found[rows] = self.conditional.log_probabilities(embeddings[rows], [tokens[row] for row in rows]).cpu()
        return found

    def _lengths(self, embeddings: Tensor, owner: Tensor, texts: Sequence[str]) -> Tensor:
        """Log probability of the number of units of each text, given its embedding. Shape: (R,)."""
        positions = self.encoder.config.code.max_units + 1
        prefixes = embeddings.to(self.prior.output.bias.device)
        one = torch.ones(len(prefixes), dtype=torch.int64, device=prefixes.device)
        posterior = self.prior.log_length(Belief.empty(1, one, prefixes), positions).cpu()
        counts = [min(len(self.encoder.segmenter.segment(text)), positions - 1) for text in texts]
        return posterior[owner, torch.tensor(counts, dtype=torch.int64)]

    def _read(self, texts: Sequence[Sequence[Ranked]]) -> list[list[Ranked]]:
        """The same texts as the language model scores them."""
        if not self.weights.fluency:
            return [list(own) for own in texts]
        values = iter(self.language_model.log_probability([one.text for own in texts for one in own]).tolist())
        return [[self._fluent(one, next(values)) for one in own] for own in texts]

    def _fluent(self, one: Ranked, value: float) -> Ranked:
        mean = value / max(len(self.language_model.tokens([one.text])[0]), 1)
        return replace(one, score=one.score + self.weights.fluency * mean, log_probability=value)


def best_of(texts: Sequence[Ranked], count: int) -> list[Ranked]:
    """The ``count`` texts of the highest scores, the best first."""
    return sorted(texts, key=lambda one: -one.score)[:count]
