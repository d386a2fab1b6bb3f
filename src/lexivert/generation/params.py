"""Typed params of the pipeline ``generation``: unit and range beside every field, values in its own params.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from lexivert.config import NonNegativeFloat, PositiveFloat, PositiveInt, Section, Seed, Share, TensOfSteps
from lexivert.yaml_reader import read_yaml, validated


class ConditionalParams(Section):
    """The conditional model and its training (stage ``conditional``)."""

    hidden_dim: PositiveInt
    layers: PositiveInt
    heads: PositiveInt
    """Of attention; they divide ``hidden_dim``."""
    max_tokens: PositiveInt
    """Longest sentence that is trained on, in tokens of the language model."""
    batch_size: PositiveInt
    steps: TensOfSteps
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_share: Share
    clip_norm: PositiveFloat
    min_cosine: Annotated[float, Field(gt=0.0, le=1.0)]
    """Least cosine of a noisy embedding with its own; half of them are told without noise."""
    always: PositiveInt
    """Most probable tokens, negatives of every step."""
    drawn: PositiveInt
    """Further negatives a step, drawn from the rest."""
    partition_weight: NonNegativeFloat
    """Of the mean square of the log partition function: logits are log probabilities as they are."""


class EvaluationParams(Section):
    """What is generated and measured (stage ``generate``)."""

    texts: PositiveInt
    """Texts of each source and length bucket."""
    ablation_texts: PositiveInt
    """Texts of each source in the ablation."""
    vectors: PositiveInt
    """Vectors of each kind that no text produced."""
    examples: PositiveInt
    batch_size: PositiveInt


class GenerationParams(Section):
    """All of ``generation/params.yaml``."""

    seed: Seed
    wikitext: str
    """A file in WikiText's convention that the user supplies, relative to the params file; its figures are left out
    where there is none."""
    conditional: ConditionalParams
    evaluation: EvaluationParams


def load_generation_params(path: Path) -> GenerationParams:
    """Read and check the file.

    Raises:
        LexivertError: it is missing or wrong; the message names file, key and value.
    """
    return validated(GenerationParams, read_yaml(path), path)
