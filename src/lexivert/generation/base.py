"""What a generator is: fluent texts for sentence embeddings that no text's words can be read from.

A generator is asked by a ``Request`` and gives ``Candidate``s: texts with the cosine of their own embedding with the
given one, and their log probability under the language model. ``GENERATORS`` lists all that there are; each is made
of ``GeneratorParts``. One that writes in units of the lexicon is a ``UnitWriter``, see ``generation.in_units``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.controller.controller import Effort
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.generation.params import SearchParams
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.priors.base import Prior
from lexivert.registry import Registry


@dataclass(frozen=True)
class Candidate:
    """A text that a generator has written for an embedding.

    Attributes:
        text: what was written.
        cosine: of its own embedding with the given one, -1 to 1.
        log_probability: of the text under the language model, in nats; None where there is no language model.
    """

    text: str
    cosine: float
    log_probability: float | None


@dataclass(frozen=True)
class Generated(Candidate):
    """The best text for an embedding.

    Attributes:
        alternatives: other texts for it, the better first; as many as were asked for, or fewer.
    """

    alternatives: tuple[Candidate, ...] = ()

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> Generated:
        """The first of some candidates, with the others as its alternatives."""
        first, *others = candidates
        return cls(first.text, first.cosine, first.log_probability, tuple(others))


@dataclass(frozen=True)
class Request:
    """What texts are wanted.

    Attributes:
        embeddings: sentence embeddings, unit length. Shape: (B, S).
        count: candidates wanted for each, at least 1.
        effort: how much time may be taken.
        prefix: how every text begins, as ``normalize`` leaves it; empty for any beginning.
        banned: words and phrases that no text may contain, as ``arguments.check_banned`` leaves them.
        seed: of all draws.
        watch: shown the best text for each embedding so far, from draft to draft, by generators that revise.
    """

    embeddings: Tensor
    count: int = 1
    effort: Effort = "normal"
    prefix: str = ""
    banned: tuple[str, ...] = ()
    seed: int = 0
    watch: Callable[[list[Candidate]], None] | None = None

    def __len__(self) -> int:
        return len(self.embeddings)

    def show(self, best: list[Candidate]) -> None:
        """Tell whoever watches."""
        if self.watch is not None:
            self.watch(best)

    def only(self, rows: Sequence[int]) -> Request:
        """The same request for some of the embeddings."""
        return replace(self, embeddings=self.embeddings[list(rows)])


@runtime_checkable
class Generator(Protocol):
    """Writes texts whose sentence embeddings come near to given ones (embedding inversion)."""

    def generate(self, request: Request) -> list[list[Candidate]]:
        """Candidates for each of the B embeddings: at least one, at most ``request.count``, the best first.

        What is written for an embedding depends on nothing but it, the other fields of the request and, within
        rounding, on what else is in the batch.
        """
        ...


@dataclass(frozen=True)
class GeneratorParts:
    """What generators are made of.

    Attributes:
        encoder: backbone, lexicon and segmenter.
        prior: over units and lengths: the Selector.
        language_model: None where a model has none.
        sentences: known sentences, for retrieval; None where there are none.
        folder: where trained parts of generators lie, see ``artifacts.Paths.generation``; None where there is none.
        search: params of language-model search; None where nothing says.
    """

    encoder: Encoder
    prior: Prior
    language_model: CausalLanguageModel | None = None
    sentences: EncodedTexts | None = None
    folder: Path | None = None
    search: SearchParams | None = None


GENERATORS: Registry[Callable[[GeneratorParts], Generator]] = Registry("generator")
"""Factories of generators. ``generation.registry`` imports all of the project's own."""
