"""Search with a language model: drafts that it and the embedding make likely, revised while they come nearer.

Drafts are drawn without replacement from the product of the language model and the conditional model; a pool of the
best is then revised for some rounds: cut and continued, spans replaced, dropped, inserted, all ranked by nearness of
the backbone's embedding, fluency and likelihood. A round that no text of the pool survives changed costs as much as
any other, so rounds are few and edits many: the backbone reads hundreds of texts a second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lexivert.generation import beams, revision
from lexivert.generation.base import Candidate, Effort, GeneratorParts, Request
from lexivert.generation.conditional_model import ConditionalModel
from lexivert.generation.proposals import TRIED, Proposer
from lexivert.generation.ranking import Ranked, Ranker, Weights
from lexivert.language_model.causal import CausalLanguageModel

_LONGEST = 48
"""Most tokens of a text, a known beginning aside."""
_SEEDS = 2**31


@dataclass(frozen=True)
class Budget:
    """How much is tried.

    Attributes:
        drafts: of each text.
        fluent_drafts: further ones, by the product with the language model.
        pool: texts that are revised side by side.
        rounds: of revision.
        edits: places of the pool's texts that are written anew in a round, ``spellings`` of each.
        cuts: places where they are cut and continued, the same.
        spellings: of each edit and cut.
        shortlist: texts that the language model reads in a round.
    """

    drafts: int
    fluent_drafts: int
    pool: int
    rounds: int
    edits: int
    cuts: int
    spellings: int
    shortlist: int


BUDGETS: dict[Effort, Budget] = {
    "draft": Budget(drafts=16, fluent_drafts=0, pool=1, rounds=0, edits=0, cuts=0, spellings=0, shortlist=6),
    "normal": Budget(drafts=24, fluent_drafts=8, pool=4, rounds=8, edits=12, cuts=2, spellings=3, shortlist=8),
    "high": Budget(drafts=48, fluent_drafts=16, pool=6, rounds=24, edits=16, cuts=3, spellings=3, shortlist=12),
}
"""Of each effort."""


class LanguageModelSearch:
    """Writes texts by search.

    Args:
        parts: the backbone.
        conditional: told the embedding.
        language_model: None to do without.
        weights: of the ranking.
        weight: of the language model in the proposals.
        budgets: how much is tried, by effort.
    """

    def __init__(
        self,
        parts: GeneratorParts,
        conditional: ConditionalModel,
        language_model: CausalLanguageModel | None,
        weights: Weights,
        weight: float = 0.5,
        budgets: dict[Effort, Budget] = BUDGETS,
    ) -> None:
        self.parts = parts
        self.ranker = Ranker(parts.encoder, conditional, language_model, weights)
        self.likely = Proposer(conditional, None, 0.0)
        self.fluent = Proposer(conditional, language_model, weight)
        self.language_model = language_model
        self.budgets = budgets

    @torch.inference_mode()
    def pools(self, request: Request) -> list[list[Ranked]]:
        budget = self.budgets[request.effort]
        budget = replace(budget, pool=max(budget.pool, request.count), shortlist=max(budget.shortlist, request.count))
        begun = self.tokens(request.prefix)
        texts = self._drafts(request, budget, begun)
        pools = self.ranker.ranked(request.embeddings, self._texts(texts), budget.pool, 2 * budget.shortlist)
        for number in range(budget.rounds):
            pools = self._revised(request, budget, pools, len(begun), number)
        return pools

    def tokens(self, text: str) -> list[int]:
        return self.language_model.tokens([text])[0]

    def _texts(self, tokens):
        return [[(own, " ".join(self.language_model.text(own).split())) for own in row] for row in tokens]

    def _drafts(self, request: Request, budget: Budget, begun: list[int]) -> list[list[list[int]]]:
        found = [[] for _ in range(len(request))]
        for proposer, width in ((self.likely, budget.drafts), (self.fluent, budget.fluent_drafts)):
            if not width:
                continue
            steps = proposer.begin(request.embeddings, [begun] * len(request))
            draws = [torch.Generator().manual_seed(request.seed) for _ in range(len(request))]
            for own, new in zip(found, beams.search(steps, width, _LONGEST, proposer.end, draws, TRIED), strict=True):
                own += [[*begun, *beam.tokens] for beam in new if beam.tokens or begun]
        return found

    def _revised(self, request, budget, pools, known, number):
        edits, cuts, seeds = [], [], []
        new = [[list(one.tokens) for one in pool] for pool in pools]
        for row, pool in enumerate(pools):
            draws = torch.Generator().manual_seed(request.seed * 1009 + number + 1)
            for place in range(budget.edits):
                edits += revision.draw_edits(row, pool[place % len(pool)].tokens, known, 1, draws)
            for place in range(budget.cuts):
                cuts += revision.draw_cuts(row, pool[place % len(pool)].tokens, known, 1, draws)
            new[row] += revision.dropped_spans(pool[number % len(pool)].tokens, known)
        for some, proposer in ((edits, self.likely), (cuts, self.likely)):
            seeds = [request.seed * 7919 + number * 101 + place for place in range(len(some))]
            for edit, own in zip(some, revision.written(proposer, request.embeddings, some, budget.spellings, _LONGEST, seeds), strict=True):
                new[edit.row] += own
        texts = self._texts(new)
        texts = [list({text: (own, text) for own, text in row}.values()) for row in texts]
        return self.ranker.ranked(request.embeddings, texts, budget.pool, budget.shortlist + budget.pool)
