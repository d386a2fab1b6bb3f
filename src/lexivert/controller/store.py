"""Selector and Placer on disk, and the decoder made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.controller.confidence import Calibration
from lexivert.controller.decoder import Decoder
from lexivert.controller.language import Language
from lexivert.controller.placer import Placer
from lexivert.controller.prior import Prior
from lexivert.controller.proposal import Proposer
from lexivert.controller.selector import Selector
from lexivert.encoder.encoder import Encoder
from lexivert.encoder.layout import Layout
from lexivert.errors import DamagedArtifactError
from lexivert.index.faiss_index import UnitIndex
from lexivert.lexicon.units import Lexicon
from lexivert.params import ControllerParams

WEIGHTS = "controller.safetensors"
CONFIG = "config.json"


@dataclass(frozen=True)
class ControllerShape:
    """What ``config.json`` holds: all that the modules' shapes depend on, and K."""

    order_width: int
    semantic_width: int
    positions: int
    units: int
    rank: int
    width: int
    reach: int
    placer_width: int
    placer_layers: int
    placer_heads: int
    candidates: int

    @classmethod
    def of(cls, layout: Layout, units: int, params: ControllerParams) -> ControllerShape:
        """Collect the shape of a run's controller."""
        return cls(
            order_width=layout.order_width,
            semantic_width=layout.semantic_width,
            positions=layout.code.max_units + 1,
            units=units,
            rank=params.rank,
            width=params.width,
            reach=params.reach,
            placer_width=params.placer_width,
            placer_layers=params.placer_layers,
            placer_heads=params.placer_heads,
            candidates=params.candidates,
        )


def language_of(layout: Layout, lexicon: Lexicon, index: UnitIndex) -> Language:
    """What decoders know of units."""
    return Language(
        torch.from_numpy(index.codes),
        torch.from_numpy(lexicon.log_prior()),
        layout.binding(),
        apart=layout.code.identity_share,
        semantic_share=layout.code.semantic_share,
    )


def new_selector(shape: ControllerShape, log_prior: Tensor, seed: int) -> Selector:
    """Untrained Selector: its prior is the unigram one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        selector = Selector(shape.units, shape.semantic_width, shape.rank, shape.width, shape.reach, shape.positions)
    selector.settle(selector.table, log_prior)
    return selector.eval()


def new_placer(shape: ControllerShape, seed: int) -> Placer:
    """Untrained Placer: it leaves the posterior's log odds as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Placer(shape.placer_width, shape.placer_layers, shape.placer_heads).eval()


def save(selector: Selector, placer: Placer, calibration: Calibration, shape: ControllerShape, folder: Path) -> None:
    """Write ``controller.safetensors`` and ``config.json``, whole or not at all; unit vectors as half floats."""
    state = {
        f"{name}.{key}": (value.half() if key == "table" else value).detach().contiguous()
        for name, module in (("selector", selector), ("placer", placer))
        for key, value in module.state_dict().items()
    }
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        save_file(state, temporary / WEIGHTS)
        artifacts.write_json(temporary / CONFIG, {"shape": asdict(shape), "calibration": calibration.to_dict()})


def load_model(paths: Paths) -> tuple[Encoder, Decoder]:
    """Encoder and decoder of a project folder after ``dvc repro``.

    Raises:
        LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
    """
    encoder = Encoder.load(paths.root)
    index = UnitIndex.load(paths.index, encoder.layout.index)
    return encoder, load(paths.controller, encoder.layout, encoder.segmenter.lexicon, index)


def load(folder: Path, layout: Layout, lexicon: Lexicon, index: UnitIndex) -> Decoder:
    """Read what ``save`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is missing, damaged or of another layout.
    """
    content: Any = artifacts.read_json(artifacts.require(folder) / CONFIG)
    weights = artifacts.require(folder / WEIGHTS)
    language = language_of(layout, lexicon, index)
    try:
        shape = ControllerShape(**content["shape"])
        calibration = Calibration.from_dict(content["calibration"])
        selector, placer = new_selector(shape, torch.zeros(shape.units), seed=0), new_placer(shape, seed=0)
        state = load_file(weights)
        for name, module in (("selector", selector), ("placer", placer)):
            prefix = f"{name}."
            module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
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
        raise DamagedArtifactError(f"{weights} is damaged ({reason}); run `dvc repro controller`") from error
    trained_for = (shape.order_width, shape.semantic_width, shape.positions, shape.units)
    needed = (layout.order_width, layout.semantic_width, layout.code.max_units + 1, len(lexicon))
    if trained_for != needed:
        message = (
            f"{folder} was trained for order width, semantic width, positions and units {trained_for}, not {needed}"
        )
        raise DamagedArtifactError(f"{message}; run `dvc repro`")
    proposer = Proposer(Prior.learned(selector), placer, index, language, shape.candidates)
    return Decoder(proposer, calibration)
