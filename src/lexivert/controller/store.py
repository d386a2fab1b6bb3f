"""Selector and Placer on disk, and the decoder made of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file

from lexivert import artifacts
from lexivert.controller.placer import Placer
from lexivert.controller.proposal import Language, Proposer
from lexivert.controller.selector import Selector
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
    width: int
    layers: int
    heads: int
    placer_width: int
    placer_layers: int
    candidates: int

    @classmethod
    def of(cls, layout: Layout, params: ControllerParams) -> ControllerShape:
        """Collect the shape of a run's controller."""
        return cls(
            order_width=layout.order_width,
            semantic_width=layout.semantic_width,
            positions=layout.code.max_units + 1,
            width=params.width,
            layers=params.layers,
            heads=params.heads,
            placer_width=params.placer_width,
            placer_layers=params.placer_layers,
            candidates=params.candidates,
        )


def new_proposer(shape: ControllerShape, layout: Layout, lexicon: Lexicon, index: UnitIndex, seed: int) -> Proposer:
    """Untrained Selector and Placer, which decode by exact physics and unigram prior alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        selector = Selector(
            shape.order_width, shape.semantic_width, shape.width, shape.layers, shape.heads, shape.positions
        )
        placer = Placer(shape.placer_width, shape.placer_layers, shape.heads)
    codes, log_prior = torch.from_numpy(index.codes), torch.from_numpy(lexicon.log_prior())
    language = Language(codes, log_prior, layout.binding(), apart=layout.code.identity_share)
    return Proposer(selector.eval(), placer.eval(), index, language, shape.candidates)


def save(proposer: Proposer, shape: ControllerShape, folder: Path) -> None:
    """Write ``controller.safetensors`` and ``config.json``, whole or not at all."""
    state = {
        f"{name}.{key}": value.detach().contiguous()
        for name, module in (("selector", proposer.selector), ("placer", proposer.placer))
        for key, value in module.state_dict().items()
    }
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        save_file(state, temporary / WEIGHTS)
        artifacts.write_json(temporary / CONFIG, asdict(shape))


def load(folder: Path, layout: Layout, lexicon: Lexicon, index: UnitIndex) -> Proposer:
    """Read what ``save`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is missing, damaged or of another layout.
    """
    content: Any = artifacts.read_json(artifacts.require(folder) / CONFIG)
    weights = artifacts.require(folder / WEIGHTS)
    try:
        shape = ControllerShape(**content)
        proposer = new_proposer(shape, layout, lexicon, index, seed=0)
        state = load_file(weights)
        for name, module in (("selector", proposer.selector), ("placer", proposer.placer)):
            prefix = f"{name}."
            module.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    except (TypeError, ValueError, AssertionError, RuntimeError, OSError, safetensors.SafetensorError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DamagedArtifactError(f"{weights} is damaged ({reason}); run `dvc repro controller`") from error
    trained_for = (shape.order_width, shape.semantic_width, shape.positions)
    needed = (layout.order_width, layout.semantic_width, layout.code.max_units + 1)
    if trained_for != needed:
        message = f"{folder} was trained for order width, semantic width and positions {trained_for}, not {needed}"
        raise DamagedArtifactError(f"{message}; run `dvc repro`")
    return proposer
