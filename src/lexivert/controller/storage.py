"""The controller on disk, and the decoder of a project: rules of the loops, calibration, and where its parts lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic
import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.bindings import binding_of
from lexivert.codes.codebook import Codebook
from lexivert.codes.encoder import Encoder
from lexivert.config import ControllerParams, ModelConfig
from lexivert.controller.base import Parts
from lexivert.controller.confidence import Calibration
from lexivert.controller.controller import Controller
from lexivert.errors import DamagedArtifactError
from lexivert.priors import selector_storage, unigram  # noqa: F401 they register their priors
from lexivert.priors.base import load_prior
from lexivert.search.unit_index import UnitIndex
from lexivert.text.lexicon import Lexicon

CONFIG = "config.json"


def codebook_of(config: ModelConfig, lexicon: Lexicon, codes: Tensor) -> Codebook:
    """What decoding knows of units. Shape: codes (V, O) float16."""
    return Codebook(
        codes,
        torch.from_numpy(lexicon.log_prior()),
        binding_of(config),
        min_distance=config.code.identity_share,
        semantic_share=config.code.semantic_share,
    )


def save(params: ControllerParams, calibration: Calibration, folder: Path) -> None:
    """Write ``config.json`` with the rules and the calibration; the folder is replaced if it is there."""
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        content = {"params": params.model_dump(mode="json"), "calibration": calibration.to_dict()}
        artifacts.write_json(temporary / CONFIG, content)


def read(folder: Path) -> tuple[ControllerParams, Calibration]:
    """Read what ``save`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: the file is missing or damaged.
    """
    path = artifacts.require(folder) / CONFIG
    content: Any = artifacts.read_json(path)
    try:
        params = ControllerParams.model_validate(content["params"])
        return params, Calibration.from_dict(content["calibration"])
    except (KeyError, TypeError, ValueError, pydantic.ValidationError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedArtifactError(f"{path} is damaged ({reason}); run `dvc repro controller`") from error


def assemble(config: ModelConfig, lexicon: Lexicon, index: UnitIndex, controller: Path, prior: Path) -> Controller:
    """The controller of a model.

    Args:
        config: of the model.
        lexicon: its units.
        index: over their codes.
        controller: folder of rules and calibration.
        prior: folder of the trained prior.

    Raises:
        LexivertError: a file is missing or damaged, or prior, binding or algorithm are not registered.
    """
    params, calibration = read(controller)
    codebook = codebook_of(config, lexicon, index.codes)
    return Controller(Parts(codebook, index, load_prior(params.prior, lexicon, config, prior), params), calibration)


def load_model(paths: Paths) -> tuple[Encoder, Controller]:
    """Encoder and controller of a project folder after ``dvc repro``.

    Raises:
        LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
    """
    encoder = Encoder.load(paths.root)
    index = UnitIndex.load(paths.index, encoder.config.index, encoder.codes)
    return encoder, assemble(encoder.config, encoder.segmenter.lexicon, index, paths.controller, paths.selector)
