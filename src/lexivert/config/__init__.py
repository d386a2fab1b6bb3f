"""Typed params of a run and of a saved model: unit and range beside every field, the values in ``params.yaml`` alone.

No field has a default: what ``params.yaml`` does not state is an error, so that a number is stated once and DVC sees
every change of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pydantic

from lexivert import artifacts
from lexivert.config.data import (
    LANGUAGES,
    BackboneParams,
    CorpusParams,
    FeaturesParams,
    KindCounts,
    LanguageModelParams,
    LexicalMapsParams,
    VocabParams,
)
from lexivert.config.decoding import (
    AmpParams,
    BagOfWordsParams,
    CascadeParams,
    ControllerParams,
    EasyFirstParams,
    LanguageConfidenceParams,
    LanguageEffortParams,
    LanguageSearchParams,
    RestartParams,
    SelectorParams,
    SelectorWeights,
)
from lexivert.config.encoding import CodeParams, IndexParams, TemperatureParams, TokenHeadParams, TokenHeadWeights
from lexivert.config.evaluation import (
    CollapseParams,
    EvaluateParams,
    ReportParams,
    RobustnessParams,
    SentenceSpaceParams,
    TokenSpaceParams,
)
from lexivert.config.fields import (
    LIST,
    MOST,
    MOST_POSITIONS,
    MOST_SEED,
    MOST_WIDTH,
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
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.yaml_reader import fault, overridden, read_yaml, validated

__all__ = [
    "LANGUAGES",
    "MODEL_FILE",
    "MOST",
    "MOST_POSITIONS",
    "MOST_SEED",
    "MOST_WIDTH",
    "STEP_UNIT",
    "AmpParams",
    "BackboneParams",
    "BagOfWordsParams",
    "CascadeParams",
    "CodeParams",
    "CollapseParams",
    "ControllerParams",
    "CorpusParams",
    "Cosine",
    "EasyFirstParams",
    "EvaluateParams",
    "FeaturesParams",
    "IndexParams",
    "KindCounts",
    "LanguageConfidenceParams",
    "LanguageEffortParams",
    "LanguageModelParams",
    "LanguageSearchParams",
    "LexicalMapsParams",
    "ModelConfig",
    "NonNegativeFloat",
    "NonNegativeInt",
    "Params",
    "PositiveFloat",
    "PositiveInt",
    "ReportParams",
    "RestartParams",
    "RobustnessParams",
    "Section",
    "Seed",
    "SelectorParams",
    "SelectorWeights",
    "SentenceSpaceParams",
    "Share",
    "TemperatureParams",
    "TensOfSteps",
    "TokenHeadParams",
    "TokenHeadWeights",
    "TokenSpaceParams",
    "VocabParams",
    "load_params",
]

MODEL_FILE = "config.json"
"""File of ``ModelConfig`` in the folder of unit codes."""


class Params(Section):
    """All of ``params.yaml``."""

    seed: Seed
    plugins: Annotated[tuple[str, ...], LIST]
    """Python files that register parts of one's own (docs/extending.md), relative to this file's folder."""
    corpus: CorpusParams
    vocab: VocabParams
    lexical_maps: LexicalMapsParams
    backbone: BackboneParams
    language_model: LanguageModelParams
    features: FeaturesParams
    code: CodeParams
    token_head: TokenHeadParams
    index: IndexParams
    selector: SelectorParams
    controller: ControllerParams
    evaluate: EvaluateParams
    robustness: RobustnessParams
    token_space: TokenSpaceParams
    sentence_space: SentenceSpaceParams
    collapse: CollapseParams
    report: ReportParams


class ModelConfig(Section):
    """What unit codes were made with; saved beside them, to load a model with the numbers it was trained with."""

    seed: Seed
    """Fixes position rotations and identity codes."""
    semantic_width: PositiveInt
    """Width of the semantic prefix, S: the backbone's."""
    backbone: BackboneParams
    code: CodeParams
    index: IndexParams

    @classmethod
    def of(cls, params: Params, semantic_width: int) -> ModelConfig:
        """Collect a run's config.

        Raises:
            LexivertError: the vector is not wide enough for the backbone, or the order part's width is odd.
        """
        order = params.code.embed_dim - semantic_width
        if order < 2 or order % 2:
            raise LexivertError(
                f"code.embed_dim {params.code.embed_dim} leaves {order} dimensions beside the "
                f"backbone's {semantic_width}; the order part must be even and at least 2 wide"
            )
        return cls(
            seed=params.seed,
            semantic_width=semantic_width,
            backbone=params.backbone,
            code=params.code,
            index=params.index,
        )

    @property
    def order_width(self) -> int:
        """Width of the order part, O."""
        return self.code.embed_dim - self.semantic_width

    def save(self, folder: Path) -> None:
        """Write ``config.json``."""
        artifacts.write_json(folder / MODEL_FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> ModelConfig:
        """Read ``config.json``.

        Raises:
            MissingArtifactError, DamagedArtifactError: it is missing or damaged.
        """
        content = artifacts.read_json(folder / MODEL_FILE)
        try:
            return cls.model_validate(content)
        except pydantic.ValidationError as error:
            message = (
                f"{folder / MODEL_FILE} is not of this release ({fault(error)}); make the model anew: `make "
                "reproduce`, `make quick`, or `dvc repro index` and what follows it"
            )
            raise DamagedArtifactError(message) from error


def load_params(path: Path = Path("params.yaml"), overrides: Path | None = None) -> Params:
    """Read and check ``params.yaml``, with what a second file of the same form states in place of its values.

    Raises:
        LexivertError: a file is missing, not UTF-8 or not YAML, a key is unknown, missing or twice there, or a value
            is out of its range; the message names file, key and value.
    """
    content = read_yaml(path)
    changes = None
    if overrides is not None:
        changes = read_yaml(overrides) or {}
        content = overridden(content, changes)
    params = validated(Params, content, path, None if overrides is None else (overrides, changes))
    return params.model_copy(update={"plugins": tuple(str(path.parent / file) for file in params.plugins)})
