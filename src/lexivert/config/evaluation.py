"""Params of evaluation and report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from lexivert.config.fields import LIST, MOST, Cosine, PositiveFloat, PositiveInt, Section


class EvaluateParams(Section):
    """The report on test documents (stage ``evaluate``)."""

    texts_per_bucket: PositiveInt
    """Texts tried in each length bucket."""
    noise_cosine: Annotated[float, Field(gt=0.0, le=1.0)]
    """Cosine of the noisy full vector with the true one."""
    confidence_texts: PositiveInt
    """Most texts that confidences are measured on."""
    batch_size: PositiveInt


class RobustnessParams(Section):
    """The sweep over conditions at the limit of what can be read (stage ``robustness``)."""

    texts: PositiveInt
    """Texts decoded in each condition."""
    decisive_texts: PositiveInt
    """Texts that the cascade decodes in each decisive condition instead."""
    compared_texts: PositiveInt
    """Texts at most that the algorithms beside it decode there."""
    decisive: Annotated[tuple[str, ...], LIST]
    """Conditions that a release is judged by, named by their keys in the metrics."""
    widths: Annotated[tuple[Annotated[int, Field(ge=2, le=MOST, multiple_of=2)], ...], LIST]
    """Order dimensions; no noise, texts of at most 32 units."""
    cosines: Annotated[tuple[Cosine, ...], LIST]
    """Cosines of the noisy full vectors with the clean ones; texts of at most 40 units."""
    lengths: Annotated[tuple[PositiveInt, ...], LIST]
    """Units a text; no noise."""
    storages: Annotated[tuple[Literal["float32", "float16", "int8", "sign"], ...], LIST]
    """Number formats that vectors are stored in; texts of at most 32 units."""


class TokenSpaceParams(Section):
    """The report on units (stage ``token_space``)."""

    units: PositiveInt
    """Held-out words, and as many phrases, whose neighbours are looked at."""
    neighbours: PositiveInt
    homographs: PositiveInt
    """Most ambiguous words looked at, those with the most example sentences first."""


class SentenceSpaceParams(Section):
    """The report on sentences (stage ``sentence_space``)."""

    queries: PositiveInt
    """Example sentences that look for their definition; definitions whose class is told."""
    definitions: PositiveInt
    """Other definitions among which to look, and training definitions by which classes are told."""
    sentences_per_book: PositiveInt
    """Sentences of each book whose author is told."""
    pairs: Annotated[int, Field(ge=8, le=MOST)]
    """Sentences with a changed version, for each way to change them."""


class CollapseParams(Section):
    """The report on everything that predicts vectors (stage ``collapse``)."""

    texts: Annotated[int, Field(ge=4, le=MOST)]
    """Test texts of 1 to 40 words."""


class ReportParams(Section):
    """The page of results (stage ``report``)."""

    map_units: Annotated[int, Field(ge=10, le=MOST)]
    """Units drawn on the maps."""
    perplexity: PositiveFloat
    """Of t-SNE: about how many neighbours a unit keeps near."""
