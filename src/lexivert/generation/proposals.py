"""Proposals: which token may come next, by the language model and by what the embedding says, multiplied.

A product of experts (Hinton 2002): a weighted sum of ``log p_conditional`` and ``log p_language_model``, normalised
over all tokens but the end. Where a text ends the conditional model says alone, since a language model of documents
never ends after a sentence. A content word that has been said is made less likely: search for a near embedding says
it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lexivert.generation.conditional_model import ConditionalModel, Paths
from lexivert.language_model.causal import Beginnings, CausalLanguageModel

_REPEATABLE = 64  # most frequent tokens, which may come as often as they like: punctuation and function words
_SAID_AGAIN = 3.0  # nats that a content token loses when it is said again
TRIED = 64
"""Likeliest tokens that are tried behind a beginning (top-k sampling, Fan et al. 2018): the tail is noise."""


@dataclass(frozen=True)
class Proposer:
    """Proposes tokens.

    Attributes:
        conditional: told the embedding.
        language_model: None to do without.
        weight: of the language model's log probabilities.
        conditional_weight: of the conditional model's, but for the end.
    """

    conditional: ConditionalModel
    language_model: CausalLanguageModel | None
    weight: float
    conditional_weight: float

    @property
    def end(self) -> int:
        """Token that ends a text."""
        return self.conditional.sizes.end

    def begin(self, embeddings: Tensor, begun: Sequence[Sequence[int]], *, may_end: bool = True) -> ProposalSteps:
        """Beginnings of texts for embeddings.

        Args:
            embeddings: what the texts are to say. Shape: (R, S).
            begun: any number of tokens for each.
            may_end: whether a text may end; if not, tokens go on for as long as they are asked for.
        """
        paths = self.conditional.extend(self.conditional.begin(embeddings), begun)
        read = None
        if self.language_model is not None:
            read = self.language_model.extend(self.language_model.begin(len(begun)), begun)[0]
        said = torch.zeros_like(paths.logits, dtype=torch.bool)
        for row, tokens in enumerate(begun):
            said[row, list(tokens)] = True
        return ProposalSteps(self, paths, read, said, may_end)

    def repeatable(self) -> Tensor:
        """Tokens that may come as often as they like. Shape: (T,) bool."""
        bias = self.conditional.bias
        found = torch.zeros_like(bias, dtype=torch.bool)
        found[bias.topk(min(_REPEATABLE, len(bias))).indices] = True
        return found


@dataclass(frozen=True)
class ProposalSteps:
    """R beginnings of texts; see ``beams.Steps``.

    Attributes:
        proposer: its models.
        paths: as far as the conditional model has read.
        read: the same of the language model.
        said: tokens of each beginning. Shape: (R, T) bool.
        may_end: whether a text may end.
    """

    proposer: Proposer
    paths: Paths
    read: Beginnings | None
    said: Tensor
    may_end: bool

    @property
    def log_probs(self) -> Tensor:
        """Log probability of every token to come next. Shape: (R, T)."""
        own, end = self.paths.logits.log_softmax(dim=1), self.proposer.end
        ending = own[:, end]
        product = self.proposer.conditional_weight * own
        if self.read is not None:
            product += self.proposer.weight * self.read.log_probs.to(own.device)
        product -= _SAID_AGAIN * (self.said & ~self.proposer.repeatable())
        product[:, end] = -torch.inf
        product = product.log_softmax(dim=1)
        if self.may_end:
            product += torch.log1p(-ending.exp().clamp_max(1 - 1e-6))[:, None]
            product[:, end] = ending
        return product

    def moved(self, rows: Tensor, tokens: Tensor) -> ProposalSteps:
        """Some of the beginnings, each with a token more. Shape: (r,) and (r,)."""
        added = tokens[:, None].tolist()
        paths = self.proposer.conditional.extend(self.paths[rows], added)
        read = self.read
        if read is not None:
            assert self.proposer.language_model is not None
            read = self.proposer.language_model.extend(read[rows], added)[0]
        said = self.said[rows]
        said[torch.arange(len(rows), device=said.device), tokens] = True
        return replace(self, paths=paths, read=read, said=said)
