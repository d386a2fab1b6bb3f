"""Proposals: which token may come next, by the language model and by what the embedding says, multiplied.

A product of experts (Hinton 2002): a weighted sum of ``log p_conditional`` and ``log p_language_model``, normalised
over all tokens but the end. Where a text ends the conditional model says alone, since a language model of documents
never ends after a sentence. A content word that has been said is made less likely: search for a near embedding says
it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

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
        longest = max(map(len, begun), default=0)
        said = [[*own, *[self.end] * (longest - len(own))] for own in begun]
        written = torch.tensor(said, dtype=torch.int64, device=paths.logits.device).view(len(begun), longest)
        return ProposalSteps(self, paths, read, written, may_end)

    @cached_property
    def end_place(self) -> int:
        """Place of the end among the tokens that are proposed."""
        return int((self.conditional.proposed == self.end).nonzero()[0, 0])

    @cached_property
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
        said: tokens of each beginning, the end token where there are fewer. Shape: (R, n).
        may_end: whether a text may end.
    """

    proposer: Proposer
    paths: Paths
    read: Beginnings | None
    said: Tensor
    may_end: bool

    def __len__(self) -> int:
        return len(self.paths)

    def choices(self, count: int) -> tuple[Tensor, Tensor]:
        """Log probabilities of tokens to come next, normalised among them, and the tokens. Shape: (R, k) twice.

        Args:
            count: tokens, of the model that has a weight the likeliest; the end is one more.
        """
        proposer, logits = self.proposer, self.paths.logits
        proposed = proposer.conditional.proposed
        fluent = None if self.read is None else self.read.log_probs.to(logits.device)[:, proposed]
        shown = fluent if fluent is not None and not proposer.conditional_weight else logits
        places = shown.topk(min(count + 1, shown.shape[1]), dim=1).indices
        tokens, product = proposed[places], proposer.conditional_weight * logits.gather(1, places)
        if fluent is not None:
            product += proposer.weight * fluent.gather(1, places)
        again = (tokens[:, :, None] == self.said[:, None, :]).any(dim=2) & ~proposer.repeatable[tokens]
        product = (product - _SAID_AGAIN * again).masked_fill(tokens == proposer.end, -torch.inf).log_softmax(dim=1)
        if not self.may_end:
            return product, tokens
        ending = logits[:, proposer.end_place] - logits.logsumexp(dim=1)
        product += torch.log1p(-ending.exp().clamp_max(1 - 1e-6))[:, None]
        end = torch.full_like(tokens[:, :1], proposer.end)
        return torch.cat((product, ending[:, None]), dim=1), torch.cat((tokens, end), dim=1)

    def moved(self, rows: Tensor, tokens: Tensor) -> ProposalSteps:
        """Some of the beginnings, each with a token more. Shape: (r,) and (r,)."""
        rows, added = rows.to(self.said.device), tokens[:, None].tolist()
        paths = self.proposer.conditional.extend(self.paths.unscored()[rows], added)
        read = self.read
        if read is not None:
            assert self.proposer.language_model is not None
            read = self.proposer.language_model.extend(read[rows], added)[0]
        said = torch.cat((self.said[rows], tokens[:, None].to(self.said.device)), dim=1)
        return replace(self, paths=paths, read=read, said=said)
