"""What a set of unit codes was made with: all that is needed to write vectors, and to read them back later."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pydantic
from pydantic import Field

from lexivert import artifacts
from lexivert.codes.bindings import RotaryBinding
from lexivert.config import BackboneParams, CodeParams, IndexParams, Params
from lexivert.errors import DamagedArtifactError, LexivertError

FILE = "config.json"


class ModelConfig(pydantic.BaseModel):
    """Stands beside the unit codes, so that a model is loaded with the numbers it was trained with."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    seed: int
    """Fixes position rotations and identity codes."""
    semantic_width: Annotated[int, Field(ge=1)]
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
                f"params.yaml: code.embed_dim {params.code.embed_dim} leaves {order} dimensions beside the "
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

    def binding(self) -> RotaryBinding:
        """Rotations for every position of the longest text, EOS included."""
        return RotaryBinding(self.order_width, self.code.max_units + 1, self.seed)

    def save(self, folder: Path) -> None:
        """Write ``config.json``."""
        artifacts.write_json(folder / FILE, self.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> ModelConfig:
        """Read ``config.json``.

        Raises:
            MissingArtifactError, DamagedArtifactError: it is missing or damaged.
        """
        content = artifacts.read_json(folder / FILE)
        try:
            return cls.model_validate(content)
        except pydantic.ValidationError as error:
            message = f"{folder / FILE} does not describe a model; run `dvc repro index`"
            raise DamagedArtifactError(message) from error
