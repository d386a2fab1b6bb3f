"""Baselines of generation: what needs no search at all, to show what the others add.

Retrieval gives the fluent text that is nearest, the bag of words says what the embedding alone tells of words, and
the unconditional language model what fluency is worth without it.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.controller.controller import EFFORTS
from lexivert.errors import LexivertError
from lexivert.generation import beams
from lexivert.generation.base import GENERATORS, Candidate, GeneratorParts, Request
from lexivert.generation.candidates import scored
from lexivert.generation.in_units import InUnits
from lexivert.generation.token_proposals import TRIED
from lexivert.language_model.causal import Beginnings, CausalLanguageModel
from lexivert.priors.base import Belief, Prior

_LONGEST = 48  # tokens of a sentence
_FULL_STOPS = {".", "!", "?"}


@GENERATORS.register("nearest_sentence", label="nearest training sentence")
@dataclass(frozen=True)
class NearestSentence:
    """Retrieval: the known sentences whose embeddings are nearest; it knows neither prefix nor banned words.

    Attributes:
        parts: with ``sentences``.
    """

    parts: GeneratorParts

    def generate(self, request: Request) -> list[list[Candidate]]:
        """Candidates for each embedding, the nearest first; see ``Generator``.

        Raises:
            LexivertError: there are no known sentences, or a prefix or banned words are given.
        """
        if request.prefix or request.banned:
            raise LexivertError("the generator nearest_sentence takes neither a prefix nor banned words")
        known = self.parts.sentences
        if known is None or not len(known):
            raise LexivertError("the generator nearest_sentence needs training sentences, and this model has none")
        cosines = request.embeddings.cpu() @ known.prefixes.T
        rows = cosines.topk(min(request.count, len(known)), dim=1).indices.tolist()
        return scored(self.parts, request.embeddings, [[known.texts[row] for row in own] for own in rows])


@GENERATORS.register("bag_of_words", label="Selector's words, unordered")
def bag_of_words(parts: GeneratorParts) -> InUnits:
    """The Selector's likeliest units for the embedding, as many as it expects, the likeliest first."""
    writer = LikeliestUnits(parts.prior, parts.encoder.config.code.max_units + 1)
    return InUnits(parts, dict.fromkeys(EFFORTS, writer))


class LikeliestUnits:
    """Writes the units that an embedding makes likeliest, each once, whatever their order.

    Args:
        prior: over units and lengths.
        positions: most units of a text, plus one.
    """

    def __init__(self, prior: Prior, positions: int) -> None:
        self.prior, self.positions = prior, positions

    def without(self, units: Sequence[int]) -> LikeliestUnits:
        """The same writer for texts without some units."""
        return LikeliestUnits(self.prior.without(units), self.positions)

    @torch.inference_mode()
    def write(self, prefixes: Tensor, known: Tensor | None = None, seed: int = 0) -> list[list[int]]:
        """One text in units for each prefix, the known units first; see ``UnitWriter``. Nothing is drawn."""
        del seed
        prefixes = prefixes.to(self.prior.output.bias.device)
        belief = Belief.empty(1, torch.ones(len(prefixes), dtype=torch.int64, device=prefixes.device), prefixes)
        lengths = self.prior.log_length(belief, self.positions)[:, 1:].argmax(dim=1) + 1
        likely = self.prior.output.logits(self.prior.queries(belief)[:, 0]).topk(self.positions, dim=1).indices
        texts = []
        for row, (count, units) in enumerate(zip(lengths.tolist(), likely.tolist(), strict=True)):
            begun = [] if known is None else known[row][known[row] >= 0].tolist()
            texts.append([*begun, *units[: max(count - len(begun), 0)]])
        return texts


@GENERATORS.register("language_model", label="language model, told nothing")
@dataclass(frozen=True)
class LanguageModelAlone:
    """Sentences that the language model draws without being told anything; other ones for other embeddings.

    Attributes:
        parts: with a language model.
    """

    parts: GeneratorParts

    @torch.inference_mode()
    def generate(self, request: Request) -> list[list[Candidate]]:
        """Candidates for each embedding, in the order they were drawn; see ``Generator``.

        Raises:
            LexivertError: there is no language model, or words are banned.
        """
        if request.banned:
            raise LexivertError("the generator language_model takes no banned words")
        model = self.parts.language_model
        if model is None:
            raise LexivertError("the generator language_model needs a language model, and this model has none")
        begun = model.tokens([request.prefix])[0]
        steps = _Sentences.begin(model, begun, len(request))
        draws = [torch.Generator().manual_seed(_number(row) + request.seed) for row in request.embeddings.cpu()]
        found = beams.search(steps, request.count, _LONGEST, model.start_id, draws, TRIED) if draws else []
        texts = [[" ".join(model.text([*begun, *beam.tokens]).split()) for beam in own] for own in found]
        return scored(self.parts, request.embeddings, texts)


def _number(embedding: Tensor) -> int:
    """A number that is another one for another embedding. Shape: (S,)."""
    return zlib.crc32(embedding.half().numpy().tobytes())


@dataclass(frozen=True)
class _Sentences:
    """Beginnings of sentences; see ``beams.Steps``. What has a full stop may only end.

    Attributes:
        model: reads on.
        read: as far as it has read.
        closed: whether each beginning has its full stop. Shape: (R,) bool.
    """

    model: CausalLanguageModel
    read: Beginnings
    closed: Tensor

    @classmethod
    def begin(cls, model: CausalLanguageModel, begun: Sequence[int], count: int) -> _Sentences:
        read = model.extend(model.begin(count), [begun] * count)[0]
        return cls(model, read, torch.zeros(count, dtype=torch.bool, device=model.device))

    def __len__(self) -> int:
        return len(self.read)

    def choices(self, count: int) -> tuple[Tensor, Tensor]:
        likely = self.read.log_probs.clone()
        likely[:, self.model.start_id] = -torch.inf
        found = likely.topk(min(count, likely.shape[1]), dim=1)
        end = torch.full_like(found.indices[:, :1], self.model.start_id)
        ending = torch.zeros_like(found.values[:, :1]).masked_fill(~self.closed[:, None], -torch.inf)
        values = found.values.log_softmax(dim=1).masked_fill(self.closed[:, None], -torch.inf)
        return torch.cat((values, ending), dim=1), torch.cat((found.indices, end), dim=1)

    def moved(self, rows: Tensor, tokens: Tensor) -> _Sentences:
        rows = rows.to(self.closed.device)
        read = self.model.extend(self.read[rows], tokens[:, None].tolist())[0]
        last = [self.model.text([token]).strip()[-1:] for token in tokens.tolist()]
        return _Sentences(self.model, read, torch.tensor([sign in _FULL_STOPS for sign in last], device=rows.device))
