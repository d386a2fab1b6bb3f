"""The fine-tuned language model as a generator: its likeliest text and draws, of which the nearest is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from lexivert.devices import choose_dtype
from lexivert.errors import LexivertError
from lexivert.generation.base import GENERATORS, Candidate, GeneratorParts, Request
from lexivert.generation.candidates import ranked, scored
from lexivert.generation.filtering import TextFilter
from lexivert.generation.mask_predict import equal_draws
from lexivert.generation.soft_prompt import PromptedModel, load
from lexivert.text.tokenizer import normalize

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
        LexivertError: the model has none, or its files are damaged, or of another backbone.
    """
    if parts.folder is None:
        raise LexivertError("the generator soft_prompt needs its fine-tuned language model, and this model has none")
    device = parts.prior.output.bias.device
    backbone = parts.encoder.backbone.fingerprint()
    prompted, tokenizer = load(parts.folder / FOLDER, backbone, device, choose_dtype("auto", device))
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
        allowed = TextFilter(self.parts.encoder, request.prefix, request.banned).allowed
        left = [[text for text in map(allowed, own) if text] or [request.prefix or "."] for own in texts]
        found = scored(self.parts, request.embeddings, left)
        return [ranked(candidates, request.count) for candidates in found]

    def _written(self, prefix: Tensor, begun: Sequence[int], seed: int, temperature: float) -> list[str]:
        draws = equal_draws(seed, len(prefix))
        end = int(self.tokenizer.eos_token_id)
        tokens = self.prompted.sample(prefix, begun, end, _LONGEST, temperature, draws) if len(prefix) else []
        options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
        return [normalize(self.tokenizer.decode(own, **options)) for own in tokens]
