"""The Selector on disk, and the decoder made of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.codebook import Codebook
from lexivert.codes.encoder import Encoder
from lexivert.codes.model_config import ModelConfig
from lexivert.config import ControllerParams
from lexivert.controller.amp import AmpParams
from lexivert.controller.cascade import Cascade, CascadeParams
from lexivert.controller.confidence import Calibration
from lexivert.controller.posterior import Proposer
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.priors.base import Prior
from lexivert.priors.selector import Selector
from lexivert.search.faiss_index import UnitIndex
from lexivert.text.lexicon import Lexicon

WEIGHTS = "controller.safetensors"
CONFIG = "config.json"
_VECTORS, _BIAS = "units.vectors", "units.bias"


@dataclass(frozen=True)
class ControllerShape:
    """What ``config.json`` holds: all that the Selector's shape depends on, and K."""

    order_width: int
    semantic_width: int
    positions: int
    units: int
    rank: int
    width: int
    reach: int
    candidates: int

    @classmethod
    def of(cls, config: ModelConfig, units: int, params: ControllerParams) -> ControllerShape:
        """Collect the shape of a run's controller."""
        return cls(
            order_width=config.order_width,
            semantic_width=config.semantic_width,
            positions=config.code.max_units + 1,
            units=units,
            rank=params.rank,
            width=params.width,
            reach=params.reach,
            candidates=params.candidates,
        )

    def fits(self, config: ModelConfig, units: int) -> bool:
        """Whether it was trained for this layout and so many units."""
        trained_for = (self.order_width, self.semantic_width, self.positions, self.units)
        return trained_for == (config.order_width, config.semantic_width, config.code.max_units + 1, units)


def codebook_of(config: ModelConfig, lexicon: Lexicon, index: UnitIndex) -> Codebook:
    """What decoders know of units."""
    return Codebook(
        torch.from_numpy(index.codes),
        torch.from_numpy(lexicon.log_prior()),
        config.binding(),
        min_distance=config.code.identity_share,
        semantic_share=config.code.semantic_share,
    )


def new_selector(shape: ControllerShape, seed: int) -> Selector:
    """Untrained Selector: its queries are 0, so that units' biases alone count."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Selector(shape.semantic_width, shape.rank, shape.width, shape.reach, shape.positions).eval()


def shape_of(encoder: Encoder, decoder: Cascade) -> ControllerShape:
    """The shape of a model in memory.

    Raises:
        LexivertError: its prior is not the Selector's and has no form on disk.
    """
    prior = decoder.proposer.prior
    if prior.selector is None:
        raise LexivertError("this model's prior is not a trained Selector; only such a one can be saved")
    return ControllerShape(
        order_width=encoder.config.order_width,
        semantic_width=encoder.config.semantic_width,
        positions=prior.selector.positions,
        units=len(prior.table),
        rank=prior.table.shape[1] - 1,
        width=prior.selector.others.out_features,
        reach=prior.selector.reach,
        candidates=decoder.proposer.candidates,
    )


def write_prior(prior: Prior, path: Path) -> None:
    """Write a learned prior as safetensors; unit vectors as half floats."""
    assert prior.selector is not None
    state = {f"selector.{key}": value for key, value in prior.selector.state_dict().items()}
    state |= {_VECTORS: prior.table[:, :-1].half(), _BIAS: prior.table[:, -1]}
    save_file({key: value.detach().cpu().contiguous() for key, value in state.items()}, path)


def read_prior(path: Path, shape: ControllerShape, advice: str) -> Prior:
    """Read what ``write_prior`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: the file is missing, damaged or of another shape.
    """
    with damage(artifacts.require(path), advice):
        selector = new_selector(shape, seed=0)
        state = load_file(path)
        vectors, bias = state.pop(_VECTORS), state.pop(_BIAS)
        if (vectors.shape, bias.shape) != ((shape.units, shape.rank), (shape.units,)):
            raise ValueError(f"unit vectors of shape {tuple(vectors.shape)}")
        prior = Prior.learned(selector, vectors.float(), bias)
        selector.load_state_dict({key.removeprefix("selector."): value for key, value in state.items()})
    return prior


def decoding_of(decoder: Cascade) -> dict[str, Any]:
    """Rules and calibration of a decoder, for JSON."""
    return {"calibration": decoder.calibration.to_dict(), "rules": asdict(decoder.rules)}


def assemble(
    codebook: Codebook, index: UnitIndex, prior: Prior, shape: ControllerShape, decoding: Mapping[str, Any]
) -> Cascade:
    """Put a decoder together: the one place that knows its parts.

    Args:
        codebook: of the units.
        index: of the unit codes.
        prior: over units.
        shape: what the prior was trained for.
        decoding: as ``decoding_of`` gives it; without rules, the usual ones.

    Raises:
        KeyError, TypeError, ValueError: ``decoding`` is of another form.
    """
    rules = decoding.get("rules")
    if rules is not None:
        rules = CascadeParams(**{**rules, "retries": tuple(AmpParams(**retry) for retry in rules["retries"])})
    proposer = Proposer(prior, index, codebook, shape.candidates)
    return Cascade(proposer, Calibration.from_dict(decoding["calibration"]), rules)


def save(prior: Prior, calibration: Calibration, shape: ControllerShape, folder: Path) -> None:
    """Write ``controller.safetensors`` and ``config.json``, both or neither.

    Args:
        prior: a learned one.
        calibration: of the confidences.
        shape: of the Selector.
        folder: replaced if it is there.
    """
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        write_prior(prior, temporary / WEIGHTS)
        artifacts.write_json(temporary / CONFIG, {"shape": asdict(shape), "calibration": calibration.to_dict()})


def load_model(paths: Paths, device: str | None = None) -> tuple[Encoder, Cascade]:
    """Encoder and decoder of a project folder after ``dvc repro``.

    Args:
        paths: of the project.
        device: auto, cpu, cuda or mps; what ``backbone.device`` says if None.

    Raises:
        LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
    """
    encoder = Encoder.load(paths.root, device)
    index = UnitIndex.load(paths.index, encoder.config.index, encoder.codes.numpy())
    return encoder, load(paths.controller, encoder.config, encoder.segmenter.lexicon, index)


def load(folder: Path, config: ModelConfig, lexicon: Lexicon, index: UnitIndex) -> Cascade:
    """Read what ``save`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is missing, damaged or of another layout.
    """
    content: Any = artifacts.read_json(artifacts.require(folder) / CONFIG)
    advice = "run `dvc repro controller`"
    with damage(folder / CONFIG, advice):
        shape = ControllerShape(**content["shape"])
    prior = read_prior(folder / WEIGHTS, shape, advice)
    if not shape.fits(config, len(lexicon)):
        raise DamagedArtifactError(f"{folder} was trained for another layout or lexicon; run `dvc repro`")
    with damage(folder / CONFIG, advice):
        return assemble(codebook_of(config, lexicon, index), index, prior, shape, content)


@contextlib.contextmanager
def damage(path: Path, advice: str) -> Iterator[None]:
    """Turn whatever goes wrong with a file's content into one line that names the file and says what to do."""
    try:
        yield
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
        raise DamagedArtifactError(f"{path} is damaged ({reason}); {advice}") from error
