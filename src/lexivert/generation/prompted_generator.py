"""The fine-tuned language model as a generator: its likeliest text and draws, of which the nearest is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from lexivert.devices import choose_dtype
from lexivert.errors import LexivertError
from lexivert.generation.base import GENERATORS, Candidate, GeneratorParts, Request
from lexivert.generation.candidates import ranked, scored
from lexivert.generation.in_units import banning
from lexivert.generation.mask_predict import equal_draws
from lexivert.generation.soft_prompt import PromptedModel, load
from lexivert.text.banned import Banned
from lexivert.text.tokenizer import normalize
from lexivert.text.wikitext import NOTATION

FOLDER = "soft_prompt"
"""Of the fine-tuned model, in ``GeneratorParts.folder``."""
_DRAWS = {"draft": 0, "normal": 15, "high": 63}
"""Texts drawn beside the likeliest one."""
_LONGEST = 96  # tokens of a text
_TEMPERATURE = 0.7
_SEEDS = 10**6  # draws of one seed, which no other has


@GENERATORS.register("soft_prompt", label="fine-tuned language model")
def soft_prompt(parts: GeneratorParts) -> PromptedGenerator:
    """Reads what stage ``soft_prompt`` has trained.

    Raises:
        LexivertError: the model has none, or its files are damaged.
    """
    if parts.folder is None:
        raise LexivertError("the generator soft_prompt needs its fine-tuned language model, and this model has none")
    device = parts.prior.output.bias.device
    prompted, tokenizer = load(parts.folder / FOLDER, device, choose_dtype("auto", device))
    return PromptedGenerator(parts, prompted, tokenizer)


@dataclass(frozen=True)
class PromptedGenerator:
    """Writes with a language model behind a soft prompt.

    Attributes:
        parts: encoder, and language model for the log probabilities if there is one.
        prompted: the fine-tuned model.
        tokenizer: its tokeniser.
    """

    parts: GeneratorParts
    prompted: PromptedModel
    tokenizer: Any

    def generate(self, request: Request) -> list[list[Candidate]]:
        """Candidates for each embedding, the nearest first; see ``Generator``."""
        begun = self.tokenizer(request.prefix, add_special_tokens=False)["input_ids"] if request.prefix else []
        prefix = request.embeddings.to(self.prompted.device)
        count = max(_DRAWS[request.effort], request.count - 1)
        texts: list[list[str]] = [[] for _ in range(len(request))]
        begin = request.seed * _SEEDS
        for number in range(begin, begin + count + 1):
            drawn = self._written(prefix, begun, number, temperature=0.0 if number == begin else _TEMPERATURE)
            for own, text in zip(texts, drawn, strict=True):
                own.append(text)
        allowed = [self._allowed(own, request) for own in texts]
        found = scored(self.parts, request.embeddings, allowed)
        return [ranked(candidates, request.count) for candidates in found]

    def _written(self, prefix: Tensor, begun: Sequence[int], seed: int, temperature: float) -> list[str]:
        draws = equal_draws(seed, len(prefix))
        end = int(self.tokenizer.eos_token_id)
        tokens = self.prompted.sample(prefix, begun, end, _LONGEST, temperature, draws) if len(prefix) else []
        return [normalize(self.tokenizer.decode(own, skip_special_tokens=True)) for own in tokens]

    def _allowed(self, texts: Sequence[str], request: Request) -> list[str]:
        """Texts without anything banned; where each has some, it is cut out of the first."""
        banned = banning(self.parts.encoder, (*request.banned, *NOTATION)) if request.banned else self._notation
        segmenter = self.parts.encoder.segmenter
        allowed = [text for text in texts if not banned.find(segmenter.segment(text))]
        return allowed or [_cut(segmenter.segment(texts[0]), banned, segmenter.join)]

    @cached_property
    def _notation(self) -> Banned:
        return banning(self.parts.encoder, NOTATION)


def _cut(units: list[int], banned: Banned, join: Any) -> str:
    while found := banned.find(units):
        places = set(found[0].positions)
        units = [unit for place, unit in enumerate(units) if place not in places]
    text: str = join(units)
    return text
