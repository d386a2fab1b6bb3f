"""Language-model search: drafts that an embedding makes likely, revised while they come nearer to it.

The conditional model drafts, by draws without replacement; at effort ``high`` its product with the language model
drafts, too. The Placer's drafts may stand beside them. A pool of the best is revised for some rounds: the conditional
model cuts and continues, replaces, drops and inserts spans, and the Selector rewrites units. All are ranked by
nearness of the backbone's embedding, likelihood, length and repetition; the language model reads a shortlist of each
round, whose ranking its fluency enters. The backbone reads hundreds of texts a second, so that many edits are tried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from lexivert.devices import choose_dtype
from lexivert.errors import LexivertError, MissingArtifactError
from lexivert.generation import conditional_storage, revision
from lexivert.generation.base import GENERATORS, Candidate, Generator, GeneratorParts, Request
from lexivert.generation.conditional_model import ConditionalModel
from lexivert.generation.filtering import TextFilter
from lexivert.generation.in_units import start_of
from lexivert.generation.params import Budget, SearchParams
from lexivert.generation.ranking import Ranked, Ranker, best_of
from lexivert.generation.revision import Edit
from lexivert.generation.rewriting import Rewriter
from lexivert.generation.selector_placer import FOLDER as PLACER_FOLDER
from lexivert.generation.selector_placer import selector_placer
from lexivert.generation.token_proposals import Proposer
from lexivert.language_model.causal import CausalLanguageModel

_LONGEST = 48
"""Most tokens of a text, a known beginning aside."""
_NOTHING = "."
_ROUNDS, _EDITS = 1009, 101  # places for the numbers of rounds and edits within a seed


@GENERATORS.register("language_model_search", label="language-model search")
def language_model_search(parts: GeneratorParts) -> LanguageModelSearch:
    """The search, with the conditional model of the model's folder.

    Raises:
        LexivertError: there is no language model, or the conditional model is missing, damaged or of other parts, or
            the params are missing.
    """
    if parts.language_model is None:
        raise LexivertError("the generator language_model_search needs a language model, and this model has none")
    if parts.folder is None or not (parts.folder / conditional_storage.FOLDER).exists():
        raise MissingArtifactError(
            "the generator language_model_search needs its conditional model; "
            "run `dvc repro generation/dvc.yaml:conditional`"
        )
    if parts.search is None:
        raise MissingArtifactError(
            "the generator language_model_search needs its params, section search of generation/params.yaml; "
            "a saved model brings them, so save it again"
        )
    tokens = parts.language_model.model.get_input_embeddings().weight.shape[0]
    backbone = parts.encoder.backbone.fingerprint()
    conditional = conditional_storage.load(parts.folder / conditional_storage.FOLDER, backbone, tokens)
    conditional.to(parts.language_model.device)
    conditional.dtype = choose_dtype("auto", conditional.device)
    return LanguageModelSearch(parts, conditional, parts.language_model, parts.search)


def missing_part(parts: GeneratorParts) -> str:
    """What the search lacks: a ``conditional model`` or, beside one, a ``language model``; empty for nothing."""
    if parts.folder is None or not (parts.folder / conditional_storage.FOLDER).exists():
        return "conditional model"
    return "language model" if parts.language_model is None else ""


class LanguageModelSearch:
    """Writes texts by search; see the module.

    Args:
        parts: backbone, and prior with the length posterior.
        conditional: told the embedding.
        language_model: has the tokens of the conditional model.
        params: of the search.
    """

    def __init__(
        self,
        parts: GeneratorParts,
        conditional: ConditionalModel,
        language_model: CausalLanguageModel,
        params: SearchParams,
    ) -> None:
        self.parts, self.params = parts, params
        self.conditional, self.language_model = conditional, language_model
        self.ranker = Ranker(parts.encoder, parts.prior, conditional, language_model, params.weights)
        weight = params.proposals.conditional
        self.likely = Proposer(conditional, None, 0.0, weight)
        self.fluent = Proposer(conditional, language_model, params.proposals.language_model, weight)
        self.reviser = self.likely if weight else self.fluent
        self.rewriter = Rewriter(parts.encoder, parts.prior)

    def with_params(self, params: SearchParams) -> LanguageModelSearch:
        """The same models, searched otherwise."""
        return LanguageModelSearch(self.parts, self.conditional, self.language_model, params)

    @cached_property
    def placer(self) -> Generator | None:
        """Writes further drafts; None where it was not trained."""
        folder = self.parts.folder
        if folder is None or not (folder / PLACER_FOLDER).exists():
            return None
        return selector_placer(replace(self.parts, language_model=None))

    @torch.inference_mode()
    def generate(self, request: Request) -> list[list[Candidate]]:
        """Candidates for each embedding, the best first; see ``Generator``."""
        if not len(request):
            return []
        request = replace(request, embeddings=request.embeddings.to(self.conditional.device))
        search = _Search(self, request)
        pools = search.drafted()
        request.show([pool[0].candidate for pool in pools])
        for number in range(search.budget.rounds):
            if not (rows := search.unfinished):
                break
            pools = search.revised(pools, rows, number)
            request.show([pool[0].candidate for pool in pools])
        return [[one.candidate for one in pool[: request.count]] for pool in pools]


class _Search:
    """One request's search.

    Args:
        generator: its models and params.
        request: embeddings on the conditional model's device.
    """

    def __init__(self, generator: LanguageModelSearch, request: Request) -> None:
        self.generator, self.request = generator, request
        budget: Budget = getattr(generator.params.budgets, request.effort)
        count = request.count
        missing = max(count - budget.drafts - budget.fluent_drafts, 0)
        least = {"pool": max(budget.pool, count), "shortlist": max(budget.shortlist, count)}
        self.budget = budget.model_copy(update=least | {"drafts": budget.drafts + missing})
        self.begun: list[int] = generator.language_model.tokens([request.prefix])[0]
        self.known_units = len(start_of(generator.parts.encoder, request.prefix))
        self.filter = TextFilter(generator.parts.encoder, request.prefix, request.banned)
        self.seen: list[set[str]] = [set() for _ in range(len(request))]
        self.unchanged = [0] * len(request)

    @property
    def unfinished(self) -> list[int]:
        """Rows of the embeddings whose best text has changed in one of the last rounds."""
        return [row for row, count in enumerate(self.unchanged) if count < self.budget.patience]

    def drafted(self) -> list[list[Ranked]]:
        """The best drafts for each embedding."""
        count, generator = len(self.request), self.generator
        found: list[list[list[int]]] = [[] for _ in range(count)]
        tried = ((generator.likely, self.budget.drafts), (generator.fluent, self.budget.fluent_drafts))
        for proposer, width in tried:
            if width:
                edits = [Edit(row, self.begun, 0, []) for row in range(count)]
                seeds = [self.request.seed] * count
                self._write(found, edits, self.request.embeddings, proposer, width, seeds)
        self._place(found)
        drafts = self._ranked(found, 2 * self.budget.shortlist)
        origin, text = torch.zeros(self.request.embeddings.shape[1]), self.request.prefix or _NOTHING
        nothing = Ranked(tuple(self.begun), text, -math.inf, 0.0, origin)  # where no text is allowed
        return [best_of(own, self.budget.pool) or [nothing] for own in drafts]

    def revised(self, pools: Sequence[list[Ranked]], rows: Sequence[int], number: int) -> list[list[Ranked]]:
        """The best of some texts and their edits, for each embedding.

        Args:
            pools: texts so far, the best first.
            rows: embeddings whose texts are edited; those of the others stay.
            number: of the round.
        """
        texts: list[list[list[int]]] = [[] for _ in pools]
        edits: list[Edit] = []
        sources: list[Ranked] = []
        seeds: list[int] = []
        first = ((self.request.seed + 1) * _ROUNDS + number) * _EDITS
        for row in rows:
            draws = torch.Generator().manual_seed(first)
            chosen, own = self._edits(row, pools[row], draws)
            edits, sources = edits + own, sources + chosen
            seeds += range(first + 1, first + 1 + len(own))
            texts[row] += self._drops(pools[row], draws) + self._moves(pools[row], draws)
        told = self._told([edit.row for edit in edits], sources)
        self._write(texts, edits, told, self.generator.reviser, self.budget.spellings, seeds)
        self._rewrite(texts, pools, rows, first)
        found = list(pools)
        new = self._ranked(texts, self.budget.shortlist)
        for row in rows:
            found[row] = best_of([*pools[row], *new[row]], self.budget.pool)
            self.unchanged[row] = self.unchanged[row] + 1 if found[row][0] is pools[row][0] else 0
        return found

    def _told(self, rows: Sequence[int], texts: Sequence[Ranked]) -> Tensor:
        """What proposals for some texts of these rows are told. Shape: (number of texts, S)."""
        targets = self.request.embeddings[list(rows)]
        if not texts:
            return targets
        own = torch.stack([text.embedding for text in texts]).to(targets)
        return revision.overshot(targets, own, self.generator.params.proposals.overshoot)

    def _edits(self, row: int, pool: Sequence[Ranked], draws: torch.Generator) -> tuple[list[Ranked], list[Edit]]:
        """Edits of a pool's texts in turn, and the text of each."""
        known, sources, found = len(self.begun), [], []
        for draw, count in ((revision.draw_edits, self.budget.edits), (revision.draw_cuts, self.budget.cuts)):
            for text in itertools.islice(itertools.cycle(pool), count):
                sources.append(text)
                found += draw(row, text.tokens, known, 1, draws)
        return sources, found

    def _rewrite(
        self, texts: list[list[list[int]]], pools: Sequence[Sequence[Ranked]], rows: Sequence[int], first: int
    ) -> None:
        """Add what the Selector makes of the pools' texts to those of their rows; ``first`` of its seeds."""
        owner = [row for row in rows for _ in range(self.budget.rewritings)]
        places = [place for _ in rows for place in range(self.budget.rewritings)]
        chosen = [pools[row][place % len(pools[row])] for row, place in zip(owner, places, strict=True)]
        seeds = [first + place for place in places]
        told = self._told(owner, chosen)
        new = self.generator.rewriter.rewritten(told, [one.text for one in chosen], self.known_units, seeds)
        for row, tokens in zip(owner, self.generator.language_model.tokens(new), strict=True):
            texts[row] += [tokens] if tokens else []

    def _place(self, texts: list[list[list[int]]]) -> None:
        """Add the Placer's drafts to those of their rows, if there is something to be made of them."""
        placer = self.generator.placer
        if placer is None or not self.generator.params.placer_drafts or not self.budget.rounds:
            return
        request = replace(self.request, count=1, effort="draft", watch=None)
        for row, own in enumerate(placer.generate(request)):
            texts[row] += [tokens for tokens in self.generator.language_model.tokens([own[0].text]) if tokens]

    def _drops(self, pool: Sequence[Ranked], draws: torch.Generator) -> list[list[int]]:
        """Texts of a pool in turn, without some of their tokens."""
        found = []
        for place in range(self.budget.drops):
            spans = revision.dropped_spans(pool[place % len(pool)].tokens, len(self.begun))
            if spans:
                found.append(spans[int(torch.randint(len(spans), (1,), generator=draws, device="cpu"))])
        return found

    def _moves(self, pool: Sequence[Ranked], draws: torch.Generator) -> list[list[int]]:
        """Texts of a pool in turn, some of their tokens at another place."""
        chosen = itertools.islice(itertools.cycle(pool), self.budget.moves)
        return [revision.moved_span(text.tokens, len(self.begun), draws) for text in chosen]

    def _write(
        self,
        texts: list[list[list[int]]],
        edits: Sequence[Edit],
        told: Tensor,
        proposer: Proposer,
        width: int,
        seeds: Sequence[int],
    ) -> None:
        """Add what some edits, each told an embedding, make of texts to those of their rows."""
        written = revision.written(proposer, told, edits, width, _LONGEST, seeds)
        for edit, new in zip(edits, written, strict=True):
            texts[edit.row] += new

    def _ranked(self, tokens: Sequence[Sequence[list[int]]], shortlist: int) -> list[list[Ranked]]:
        """The best of texts in tokens, of each embedding those with the prefix that have not been ranked before."""
        texts, prefix = [], self.request.prefix
        for seen, own in zip(self.seen, tokens, strict=True):
            spelled = dict(self._allowed(some) for some in own)
            begun = [(some, text) for text, some in spelled.items() if text and text.startswith(prefix)]
            new = [(some, text) for some, text in begun if text not in seen]
            seen.update(text for _, text in new)
            texts.append(new)
        return self.generator.ranker.ranked(self.request.embeddings, texts, shortlist)

    def _allowed(self, tokens: list[int]) -> tuple[str, list[int]]:
        """A text and its tokens, without what is banned."""
        text = " ".join(self.generator.language_model.text(tokens).split())
        allowed = self.filter.allowed(text)
        return allowed, tokens if allowed == text else self.generator.language_model.tokens([allowed])[0]
