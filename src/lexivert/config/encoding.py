"""Params of the vector's layout, the token head and the index of units."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lexivert.config.fields import (
    MOST,
    MOST_POSITIONS,
    MOST_WIDTH,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Section,
    Share,
)


class CodeParams(Section):
    """The vector's layout."""

    embed_dim: Annotated[int, Field(ge=1, le=MOST_WIDTH)]
    """Width of the full vector, D; the order part has D - H dimensions and must be even."""
    semantic_share: Annotated[float, Field(gt=0.0, lt=1.0)]
    """Energy of the semantic prefix in the vector, a."""
    identity_share: Share
    """Energy of the surface string's fixed random part in a unit code."""
    surprisal_share: Share
    """Share of a unit code's energy in proportion to its surprisal under the unigram prior; 0: equal power."""
    eos_energy: PositiveFloat
    """Least energy of EOS's code; those of units are 1 on average. A wrong end costs the entire text."""
    eos_nats: NonNegativeFloat
    """Evidence of EOS, in nats, that its energy is raised to in longer texts."""
    max_units: Annotated[int, Field(ge=1, le=MOST_POSITIONS)]
    """Longest text that can be encoded, in units, EOS not counted."""
    binding: str
    """Name of the position binding, an entry of ``codes.bindings.BINDINGS``."""


class TemperatureParams(Section):
    """Cosine-annealed temperature of the contrastive loss."""

    start: PositiveFloat
    end: PositiveFloat


class TokenHeadWeights(Section):
    """Weights of the token head's losses."""

    contrastive: NonNegativeFloat
    reconstruction: NonNegativeFloat
    """Reached after the warm-up."""
    anchor_start: NonNegativeFloat
    anchor_end: NonNegativeFloat
    """The semantic anchor's weight falls from start to end along a cosine."""
    synonym: NonNegativeFloat
    orthogonality: NonNegativeFloat


class TokenHeadParams(Section):
    """Training of the token head (stage ``token_head``)."""

    hidden: PositiveInt
    """Width of both MLPs' hidden layers."""
    batch_size: Annotated[int, Field(ge=4, le=MOST)]
    accumulation: PositiveInt
    """Batches summed into one optimiser step."""
    epochs: PositiveInt
    learning_rate: PositiveFloat
    weight_decay: NonNegativeFloat
    warmup_share: Share
    """Share of the optimiser steps in linear warm-up."""
    clip_norm: PositiveFloat
    temperature: TemperatureParams
    queue_size: NonNegativeInt
    """Past codes kept as negatives."""
    hard_negatives: PositiveInt
    """Hardest in-batch negatives a row."""
    jitter: NonNegativeFloat
    """Standard deviation of the positive's noise, per dimension."""
    synonym_margin: Share
    """Cosine above which synonyms attract no more."""
    reconstruction_warmup_epochs: NonNegativeFloat
    weight: TokenHeadWeights
    heldout_share: Share
    """Share of units kept out of training, for the report."""


class IndexParams(Section):
    """The FAISS index over unit codes (stage ``index``)."""

    factory: str
    """A ``faiss.index_factory`` string."""
    nprobe: PositiveInt
    """Lists searched, for IVF."""
    ef_search: PositiveInt
    """Width of the search, for HNSW."""
    search_dims: NonNegativeInt
    """Leading code dimensions that FAISS searches and frequent units are compared in; hits are rescored with full
    codes. 0: all."""
    shortlist: PositiveInt
    """Hits rescored of a search in few dimensions, where the best stand out."""
    frequent: Annotated[int, Field(ge=3, le=MOST)]
    """Most used units, searched first."""
