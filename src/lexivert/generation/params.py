"""Typed params of the pipeline ``generation``: unit and range beside every field, values in its own params.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

from lexivert.artifacts import read_json
from lexivert.config import (
    MOST,
    STEP_UNIT,
    Cosine,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    Seed,
    Share,
    TensOfSteps,
)
from lexivert.damage import damage
from lexivert.yaml_reader import overridden, read_yaml, validated

AUTO = "auto"
"""In place of a generator's name: the best one that there are parts for."""

OVERRIDES = "overrides.yaml"
"""A file beside params.yaml that replaces some of its values: ``params.quick.yaml`` by this name, for a small run."""

STEPS_A_POINT = 50
"""Optimiser steps of the conditional model that are averaged into one point of its curves, and kept at a kill."""


class ConditionalParams(Section):
    """The conditional model and its training (stage ``conditional``)."""

    hidden_dim: PositiveInt
    feature_dim: PositiveInt
    """Width of the tokens' fixed features, at most that of the backbone's embeddings."""
    layers: PositiveInt
    heads: PositiveInt
    """Of attention; they divide ``hidden_dim``."""
    max_tokens: Annotated[int, Field(ge=2, le=MOST)]
    """Longest sentence that is trained on, in tokens of the language model."""
    batch_size: PositiveInt
    steps: Annotated[int, Field(ge=STEPS_A_POINT, le=MOST, multiple_of=STEPS_A_POINT)]
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_share: Share
    clip_norm: PositiveFloat
    min_cosine: Annotated[float, Field(gt=0.0, le=1.0)]
    """Least cosine of a noisy embedding with its own; half of them are told without noise."""
    always: PositiveInt
    """Most probable tokens, negatives of every step; all of them where there are no more, and none is drawn then."""
    drawn: PositiveInt
    """Further negatives a step, drawn from the rest."""
    partition_weight: NonNegativeFloat
    """Of the mean square of the log partition function: logits are log probabilities as they are."""

    @pydantic.model_validator(mode="after")
    def _fits(self) -> ConditionalParams:
        if self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} must be a multiple of heads, {self.heads}")
        return self


class SelectorPlacerWeights(Section):
    """Weights of the losses of the insertion loop's Selector and Placer."""

    selection: NonNegativeFloat
    """Cross-entropy of the next unit, wherever it goes, in nats."""
    placement: NonNegativeFloat
    """Cross-entropy of the next unit and its slot, in nats."""
    open: NonNegativeFloat
    """Binary cross-entropy of whether anything is missing in a slot."""
    wrong: NonNegativeFloat
    """Binary cross-entropy of whether a unit does not belong where it stands."""


class SelectorPlacerParams(Section):
    """Training of the insertion loop's Selector and Placer (stage ``selector_placer``)."""

    hidden_dim: PositiveInt
    """Width of the hidden layers, H; a multiple of ``heads``."""
    layers: PositiveInt
    """Layers of the Placer."""
    heads: PositiveInt
    """Attention heads of each."""
    phrase_window: Annotated[int, Field(ge=1, le=63)]
    """Units of a phrase window in the Selector's summary of the buffer, an odd number."""
    max_train_units: PositiveInt
    """Longest training text, in units."""
    min_prefix_cosine: Cosine
    """Noisiest target in training: its cosine with the clean one."""
    batch_size: Annotated[int, Field(ge=4, le=MOST)]
    """Texts a step."""
    steps: TensOfSteps
    """Optimiser steps, a multiple of ten."""
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_share: Share
    """Share of the optimiser steps in linear warm-up."""
    clip_norm: PositiveFloat
    """Largest norm of the gradient."""
    always: PositiveInt
    """Most probable units, negatives of every step; all of them where there are no more, and none is drawn then."""
    drawn: PositiveInt
    """Further negatives a step, drawn from the rest."""
    weight: SelectorPlacerWeights

    @pydantic.model_validator(mode="after")
    def _fits(self) -> SelectorPlacerParams:
        if self.hidden_dim % self.heads:
            raise ValueError(f"hidden_dim {self.hidden_dim} must be a multiple of heads, {self.heads}")
        if self.phrase_window % 2 == 0:
            raise ValueError(f"phrase_window {self.phrase_window} must be odd, so that a window has a middle")
        return self


class SoftPromptParams(Section):
    """Fine-tuning of the language model behind a soft prompt (stage ``soft_prompt``), a profile for a GPU."""

    prompt_tokens: PositiveInt
    """Vectors that stand before a text."""
    max_train_tokens: Annotated[int, Field(ge=2, le=MOST)]
    """Longest training text, in tokens of the language model, its end counted."""
    min_prefix_cosine: Cosine
    """Noisiest embedding in training: its cosine with the clean one."""
    batch_size: PositiveInt
    """Texts a step."""
    steps: Annotated[int, Field(ge=0, le=MOST, multiple_of=STEP_UNIT)]
    """Optimiser steps, a multiple of ten; with 0 nothing is trained."""
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_share: Share
    """Share of the optimiser steps in linear warm-up."""
    clip_norm: PositiveFloat
    """Largest norm of the gradient."""


class RankingWeights(Section):
    """Weights of what texts are ranked by in language-model search, see ``generation.ranking``."""

    nearness: NonNegativeFloat
    """Of the cosine of the text's own embedding with the given one."""
    fluency: NonNegativeFloat
    """Of the language model's mean log probability of a token, in nats."""
    likelihood: NonNegativeFloat
    """Of the conditional model's mean log probability of a token, in nats."""
    length: NonNegativeFloat
    """Of the length posterior's log probability of the number of units, in nats."""
    repetition: NonNegativeFloat
    """Of the share of words that stood in the text before, which counts against it: a text comes nearer by saying
    its words again."""


class ProposalWeights(Section):
    """Exponents of the product of models that proposes tokens, see ``generation.token_proposals``."""

    conditional: NonNegativeFloat
    """Of the conditional model's probability; with 0 the language model proposes alone."""
    language_model: NonNegativeFloat
    """Of the language model's, where it proposes."""
    overshoot: NonNegativeFloat
    """Share of what a text's own embedding lacks that is added to the given one, before it is told to proposals."""


class Budget(Section):
    """How much language-model search tries for each embedding."""

    drafts: NonNegativeInt
    """By the conditional model alone."""
    fluent_drafts: NonNegativeInt
    """By its product with the language model."""
    pool: PositiveInt
    """Texts that are revised side by side."""
    rounds: NonNegativeInt
    """Of revision, at most."""
    patience: PositiveInt
    """Rounds that leave the best text as it is, after which an embedding is done."""
    edits: NonNegativeInt
    """Places that are written anew in a round."""
    cuts: NonNegativeInt
    """Places where a text is cut and continued in a round."""
    spellings: NonNegativeInt
    """Texts of each of these."""
    drops: NonNegativeInt
    """Spans that are dropped in a round."""
    moves: NonNegativeInt
    """Spans that are put elsewhere in a round."""
    rewritings: NonNegativeInt
    """Texts of the pool that the Selector writes anew in part, in a round."""
    shortlist: PositiveInt
    """Texts that the language model reads in a round; twice as many drafts."""


class SearchBudgets(Section):
    """The budget of each effort."""

    draft: Budget
    normal: Budget
    high: Budget


class SearchParams(Section):
    """Of language-model search; they travel with a saved model that has its parts."""

    weights: RankingWeights
    proposals: ProposalWeights
    placer_drafts: bool
    """Whether the Placer's drafts are among the starts of revision, where it was trained."""
    budgets: SearchBudgets


class EvaluationParams(Section):
    """What is generated and measured (stage ``generate``)."""

    texts: PositiveInt
    """Texts of each source and length bucket."""
    ablation_texts: PositiveInt
    """Own test texts in the ablation."""
    vectors: PositiveInt
    """Vectors of each kind that no text produced."""
    examples: PositiveInt
    batch_size: PositiveInt


@dataclass(frozen=True)
class WritingParams:
    """What a model writes with from embeddings alone.

    Attributes:
        generator: its name, or ``auto``.
        search: of language-model search; None where nothing says.
    """

    generator: str = AUTO
    search: SearchParams | None = None


class GenerationParams(Section):
    """All of ``generation/params.yaml``."""

    seed: Seed
    generator: str
    """What ``Lexivert.load`` generates with: an entry of ``generation.base.GENERATORS``, or ``auto`` for the best one
    that there are parts for."""
    wikitext: str
    """A file in WikiText's convention that the user supplies, relative to the params file; its figures are left out
    where there is none."""
    conditional: ConditionalParams
    selector_placer: SelectorPlacerParams
    soft_prompt: SoftPromptParams
    search: SearchParams
    evaluation: EvaluationParams


def writing_of(root: Path) -> WritingParams:
    """What a project's params say of writing; ``auto`` without a search where it has no such params.

    Raises:
        LexivertError: the params are wrong.
    """
    path = root / "generation" / "params.yaml"
    if not path.is_file():
        return WritingParams()
    params = load_generation_params(path)
    return WritingParams(params.generator, params.search)


def travelling(path: Path) -> WritingParams:
    """What a saved model's file of a search's params says; no search where there is none.

    Raises:
        DamagedArtifactError: it is not what it should be.
    """
    if not path.is_file():
        return WritingParams()
    with damage(path, "save or download the model again"):
        return WritingParams(search=SearchParams.model_validate(read_json(path)))


def load_generation_params(path: Path) -> GenerationParams:
    """Read and check the file, with what ``OVERRIDES`` beside it states in place of its values.

    Raises:
        LexivertError: a file is missing or wrong; the message names file, key and value.
    """
    content, other = read_yaml(path), path.with_name(OVERRIDES)
    if not other.exists():
        return validated(GenerationParams, content, path)
    changes = read_yaml(other) or {}
    return validated(GenerationParams, overridden(content, changes), path, (other, changes))
