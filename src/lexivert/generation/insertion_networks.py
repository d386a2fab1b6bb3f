"""Selector and Placer of the insertion loop together, and on disk: safetensors weights and what they belong to."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lexivert import artifacts
from lexivert.config import ModelConfig
from lexivert.damage import damage
from lexivert.errors import DamagedArtifactError
from lexivert.generation.expectations import Seen
from lexivert.generation.intention import IntentionSelector
from lexivert.generation.params import SelectorPlacerParams
from lexivert.generation.placement import InsertionPlacer, Placements
from lexivert.priors.base import Prior

WEIGHTS, SIZES = "selector_placer.safetensors", "config.json"


@dataclass(frozen=True)
class InsertionSizes:
    """All that the networks' shapes depend on, and the prior whose unit vectors they read.

    Attributes:
        semantic_width: S.
        positions: lengths that the prior knows.
        embedding_dim: width of unit vectors, E.
        hidden_dim: H.
        layers: of the Placer.
        heads: of each layer.
        phrase_window: units of a window in the Selector's summary.
        prior: digest of the prior's unit vectors, see ``digest_of``.
    """

    semantic_width: int
    positions: int
    embedding_dim: int
    hidden_dim: int
    layers: int
    heads: int
    phrase_window: int
    prior: str

    @classmethod
    def of(cls, config: ModelConfig, prior: Prior, params: SelectorPlacerParams) -> InsertionSizes:
        """Collect the sizes of a run's networks."""
        return cls(
            config.semantic_width,
            config.code.max_units + 1,
            prior.output.weight.shape[1],
            params.hidden_dim,
            params.layers,
            params.heads,
            params.phrase_window,
            digest_of(prior),
        )

    def new(self, seed: int) -> InsertionNetworks:
        """Untrained networks on the CPU: they insert what the prior expects."""
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(seed)
            return InsertionNetworks(self).eval()


class InsertionNetworks(nn.Module):
    """The Selector and the Placer.

    Args:
        sizes: of both.
    """

    def __init__(self, sizes: InsertionSizes) -> None:
        super().__init__()
        self.sizes = sizes
        widths = (sizes.semantic_width, sizes.embedding_dim, sizes.hidden_dim)
        self.selector = IntentionSelector(*widths, sizes.phrase_window)
        self.placer = InsertionPlacer(*widths, sizes.layers, sizes.heads)

    def forward(self, seen: Seen) -> tuple[Tensor, Placements]:
        """Intention vectors, and what the Placer says with what the Selector has learned added.

        Shape: (B, E), and see ``Placements``.
        """
        learned = self.selector(seen.targets.prefix, seen.vectors, seen.length).float()
        placed = self.placer(seen)
        return seen.targets.anywhere + learned, replace(placed, queries=placed.queries + learned[:, None, :])


def digest_of(prior: Prior) -> str:
    """Of a prior's unit vectors as half floats, in which they are kept: those that networks were trained on."""
    vectors = prior.output.weight.detach().half().cpu().contiguous().view(torch.uint8)
    return hashlib.blake2b(vectors.numpy().data, digest_size=8).hexdigest()


def save(networks: InsertionNetworks, folder: Path) -> None:
    """Write weights and sizes, both or neither; the folder is replaced if it is there."""
    state = {name: value.detach().cpu().contiguous() for name, value in networks.state_dict().items()}
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        save_file(state, temporary / WEIGHTS)
        artifacts.write_json(temporary / SIZES, asdict(networks.sizes))


def load(folder: Path, prior: Prior) -> InsertionNetworks:
    """Read what ``save`` wrote, onto the prior's device.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is missing or damaged, or it was trained on another prior.
    """
    content: Any = artifacts.read_json(artifacts.require(folder) / SIZES)
    path = artifacts.require(folder / WEIGHTS)
    with damage(path, "run `dvc repro` in generation/"):
        networks = InsertionSizes(**content).new(seed=0)
        networks.load_state_dict(load_file(path))
    if networks.sizes.prior != digest_of(prior):
        raise DamagedArtifactError(f"{folder} was trained on another prior; run `dvc repro` in generation/")
    return networks.to(prior.output.bias.device)
