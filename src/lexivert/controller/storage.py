"""The Selector on disk, and the decoder made of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.bindings import binding_of
from lexivert.codes.codebook import Codebook
from lexivert.codes.encoder import Encoder
from lexivert.config import ControllerParams, ModelConfig, SelectorParams
from lexivert.controller.cascade import Cascade
from lexivert.controller.confidence import Calibration
from lexivert.controller.posterior import Proposer
from lexivert.errors import DamagedArtifactError
from lexivert.priors.base import Prior
from lexivert.priors.selector import Selector
from lexivert.search.faiss_index import UnitIndex
from lexivert.text.lexicon import Lexicon

WEIGHTS = "selector.safetensors"
CONFIG = "config.json"
_VECTORS, _BIAS = "units.vectors", "units.bias"


@dataclass(frozen=True)
class SelectorShape:
    """What the Selector's ``config.json`` holds: all that its shape depends on."""

    order_width: int
    semantic_width: int
    positions: int
    units: int
    embedding_dim: int
    hidden_dim: int
    context_window: int

    @classmethod
    def of(cls, config: ModelConfig, units: int, params: SelectorParams) -> SelectorShape:
        """Collect the shape of a run's Selector."""
        return cls(
            order_width=config.order_width,
            semantic_width=config.semantic_width,
            positions=config.code.max_units + 1,
            units=units,
            embedding_dim=params.embedding_dim,
            hidden_dim=params.hidden_dim,
            context_window=params.context_window,
        )


def codebook_of(config: ModelConfig, lexicon: Lexicon, index: UnitIndex) -> Codebook:
    """What decoders know of units."""
    return Codebook(
        torch.from_numpy(index.codes),
        torch.from_numpy(lexicon.log_prior()),
        binding_of(config),
        min_distance=config.code.identity_share,
        semantic_share=config.code.semantic_share,
    )


def new_selector(shape: SelectorShape, seed: int) -> Selector:
    """Untrained Selector: its queries are 0, so that units' biases alone count."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Selector(
            shape.semantic_width, shape.embedding_dim, shape.hidden_dim, shape.context_window, shape.positions
        ).eval()


def save_selector(prior: Prior, shape: SelectorShape, folder: Path) -> None:
    """Write ``selector.safetensors`` and ``config.json``, both or neither; unit vectors as half floats.

    Args:
        prior: a learned one.
        shape: of the Selector.
        folder: replaced if it is there.
    """
    assert prior.selector is not None
    state = {f"selector.{key}": value for key, value in prior.selector.state_dict().items()}
    state |= {_VECTORS: prior.table[:, :-1].half(), _BIAS: prior.table[:, -1]}
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        save_file({key: value.detach().contiguous() for key, value in state.items()}, temporary / WEIGHTS)
        artifacts.write_json(temporary / CONFIG, asdict(shape))


def load_selector(folder: Path, config: ModelConfig, units: int) -> Prior:
    """Read what ``save_selector`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is missing, damaged or of another layout.
    """
    content: Any = artifacts.read_json(artifacts.require(folder) / CONFIG)
    weights = artifacts.require(folder / WEIGHTS)
    try:
        shape = SelectorShape(**content)
        selector = new_selector(shape, seed=0)
        state = load_file(weights)
        vectors, bias = state.pop(_VECTORS), state.pop(_BIAS)
        if (vectors.shape, bias.shape) != ((shape.units, shape.embedding_dim), (shape.units,)):
            raise ValueError(f"unit vectors of shape {tuple(vectors.shape)}")
        prior = Prior.learned(selector, vectors.float(), bias)
        selector.load_state_dict({key.removeprefix("selector."): value for key, value in state.items()})
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
        AssertionError,
        RuntimeError,
        OSError,
        safetensors.SafetensorError,
    ) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedArtifactError(f"{weights} is damaged ({reason}); run `dvc repro selector`") from error
    trained_for = (shape.order_width, shape.semantic_width, shape.positions, shape.units)
    needed = (config.order_width, config.semantic_width, config.code.max_units + 1, units)
    if trained_for != needed:
        message = (
            f"{folder} was trained for order width, semantic width, positions and units {trained_for}, not {needed}"
        )
        raise DamagedArtifactError(f"{message}; run `dvc repro`")
    return prior


def save(rules: ControllerParams, calibration: Calibration, folder: Path) -> None:
    """Write ``config.json`` with rules and calibration; the folder is replaced if it is there."""
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        content = {"rules": rules.model_dump(mode="json"), "calibration": calibration.to_dict()}
        artifacts.write_json(temporary / CONFIG, content)


def decoder_of(
    prior: Prior,
    index: UnitIndex,
    codebook: Codebook,
    rules: ControllerParams,
    calibration: Calibration | None = None,
) -> Cascade:
    """Put a decoder together."""
    return Cascade(Proposer(prior, index, codebook, rules.easy_first.candidates), calibration)


def load_model(paths: Paths) -> tuple[Encoder, Cascade]:
    """Encoder and decoder of a project folder after ``dvc repro``.

    Raises:
        LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
    """
    encoder = Encoder.load(paths.root)
    lexicon = encoder.segmenter.lexicon
    index = UnitIndex.load(paths.index, encoder.config.index, encoder.codes.numpy())
    prior = load_selector(paths.selector, encoder.config, len(lexicon))
    return encoder, load(paths.controller, prior, index, codebook_of(encoder.config, lexicon, index))


def load(folder: Path, prior: Prior, index: UnitIndex, codebook: Codebook) -> Cascade:
    """Read what ``save`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: the file is missing, damaged or of another layout.
    """
    path = artifacts.require(folder) / CONFIG
    content: Any = artifacts.read_json(path)
    try:
        rules = ControllerParams.model_validate(content["rules"])
        calibration = Calibration.from_dict(content["calibration"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedArtifactError(f"{path} is damaged ({reason}); run `dvc repro controller`") from error
    return decoder_of(prior, index, codebook, rules, calibration)
