"""The controller on disk, and the decoder of a project: rules of the loops, calibration, and where its parts lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.bindings import binding_of
from lexivert.codes.codebook import Codebook
from lexivert.codes.encoder import Encoder
from lexivert.codes.power import unit_energies
from lexivert.config import ControllerParams, ModelConfig
from lexivert.controller.base import Parts
from lexivert.controller.confidence import Calibration
from lexivert.controller.controller import Controller
from lexivert.controller.language_search import LanguageSearch
from lexivert.damage import damage
from lexivert.devices import choose_device
from lexivert.language_model.storage import Source
from lexivert.priors import selector_storage, unigram  # noqa: F401 they register their priors
from lexivert.priors.base import load_prior
from lexivert.search.unit_index import UnitIndex
from lexivert.text.lexicon import Lexicon

CONFIG = "config.json"


def codebook_of(config: ModelConfig, lexicon: Lexicon, codes: Tensor) -> Codebook:
    """What decoding knows of units. Shape: codes (V, O) float16."""
    log_prior = torch.from_numpy(lexicon.log_prior())
    energies = unit_energies(log_prior, config.code.surprisal_share, config.code.eos_energy)
    return Codebook(
        codes,
        log_prior,
        binding_of(config),
        min_distance=config.code.identity_share * float(energies.min()),
        semantic_share=config.code.semantic_share,
        eos_nats=config.code.eos_nats,
    )


def decoding_of(params: ControllerParams, calibration: Calibration) -> dict[str, Any]:
    """Rules and calibration, for JSON."""
    return {"params": params.model_dump(mode="json"), "calibration": calibration.to_dict()}


def parsed(content: Any) -> tuple[ControllerParams, Calibration]:
    """Read what ``decoding_of`` gave.

    Raises:
        KeyError, TypeError, ValueError: it is of another form.
    """
    return ControllerParams.model_validate(content["params"]), Calibration.from_dict(content["calibration"])


def save(params: ControllerParams, calibration: Calibration, folder: Path) -> None:
    """Write ``config.json`` with the rules and the calibration; the folder is replaced if it is there."""
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        artifacts.write_json(temporary / CONFIG, decoding_of(params, calibration))


def read(folder: Path) -> tuple[ControllerParams, Calibration]:
    """Read what ``save`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: the file is missing or damaged.
    """
    path = artifacts.require(folder) / CONFIG
    content: Any = artifacts.read_json(path)
    with damage(path, "run `dvc repro controller`"):
        return parsed(content)


def assemble(
    encoder: Encoder,
    index: UnitIndex,
    decoding: tuple[ControllerParams, Calibration],
    prior: Path,
    device: str,
    language_model: Source,
) -> tuple[Encoder, Controller]:
    """Encoder and controller of a model, on a device: the one place that puts a decoder together.

    Args:
        encoder: has layout, lexicon and codes.
        index: over the codes.
        decoding: rules and calibration.
        prior: folder of the trained prior.
        device: auto, cpu, cuda or mps.
        language_model: loaded when it is first needed.

    Raises:
        LexivertError: the prior's files are missing or damaged, or prior, binding or algorithm are not registered, or
            the machine has no such device.
    """
    params, calibration = decoding
    config, lexicon = encoder.config, encoder.segmenter.lexicon
    codebook = codebook_of(config, lexicon, index.codes)
    parts = Parts(codebook, index, load_prior(params.prior, lexicon, config, prior), params)
    parts = parts.to(choose_device(device))
    encoder.codes = parts.codebook.codes  # one copy of them
    search = LanguageSearch(parts, encoder, language_model)
    return encoder, Controller(parts, calibration, search=search)


def load_model(paths: Paths, device: str | None = None) -> tuple[Encoder, Controller]:
    """Encoder and controller of a project folder after ``dvc repro``.

    Args:
        paths: of the project.
        device: auto, cpu, cuda or mps; what ``backbone.device`` says if None.

    Raises:
        LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
    """
    encoder = Encoder.load(paths.root, device)
    index = UnitIndex.load(paths.index, encoder.config.index, encoder.codes)
    where = device or encoder.config.backbone.device
    source = Source(paths.language_model, where)
    return assemble(encoder, index, read(paths.controller), paths.selector, where, source)
