"""The trained Selector on disk: safetensors weights and the sizes they belong to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lexivert import artifacts
from lexivert.config import ModelConfig, SelectorParams
from lexivert.damage import damage
from lexivert.errors import DamagedArtifactError
from lexivert.priors.base import PRIORS, PriorSource
from lexivert.priors.selector import Selector, SelectorPrior

WEIGHTS = "selector.safetensors"
SIZES = "config.json"
_VECTORS, _BIAS = "units.vectors", "units.bias"


@dataclass(frozen=True)
class SelectorSizes:
    """All that the Selector's shapes depend on: the content of ``config.json``.

    Attributes:
        semantic_width: S.
        positions: positions of the longest text, EOS's included.
        units: V.
        embedding_dim: width of unit embeddings.
        hidden_dim: width of the hidden layers.
        context_window: neighbours on either side that are seen one by one.
    """

    semantic_width: int
    positions: int
    units: int
    embedding_dim: int
    hidden_dim: int
    context_window: int

    @classmethod
    def of(cls, config: ModelConfig, units: int, params: SelectorParams) -> SelectorSizes:
        """Collect the sizes of a run's Selector."""
        return cls(
            semantic_width=config.semantic_width,
            positions=config.code.max_units + 1,
            units=units,
            embedding_dim=params.embedding_dim,
            hidden_dim=params.hidden_dim,
            context_window=params.context_window,
        )

    @classmethod
    def of_prior(cls, prior: SelectorPrior) -> SelectorSizes:
        """The sizes of a trained prior."""
        selector, (units, width) = prior.selector, prior.output.weight.shape
        return cls(
            semantic_width=selector.prefix.in_features - 1,
            positions=selector.positions,
            units=units,
            embedding_dim=width,
            hidden_dim=selector.others.out_features,
            context_window=selector.context_window,
        )

    def new(self, seed: int) -> Selector:
        """Untrained Selector on the CPU: its queries are 0, so that units' biases alone count."""
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(seed)
            selector = Selector(
                self.semantic_width, self.embedding_dim, self.hidden_dim, self.context_window, self.positions
            )
        return selector.eval()


def save_selector(prior: SelectorPrior, sizes: SelectorSizes, folder: Path) -> None:
    """Write ``selector.safetensors`` and ``config.json``, both or neither; unit vectors as half floats.

    Args:
        prior: trained.
        sizes: of its Selector.
        folder: replaced if it is there.
    """
    state = {f"selector.{key}": value for key, value in prior.selector.state_dict().items()}
    state |= {_VECTORS: prior.output.weight.half(), _BIAS: prior.output.bias}
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        save_file({key: value.detach().cpu().contiguous() for key, value in state.items()}, temporary / WEIGHTS)
        artifacts.write_json(temporary / SIZES, asdict(sizes))


@PRIORS.register("selector", label="Selector")
def load_selector(source: PriorSource) -> SelectorPrior:
    """Read what ``save_selector`` wrote.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is missing, damaged, or of another model.
    """
    content: Any = artifacts.read_json(artifacts.require(source.folder) / SIZES)
    path = artifacts.require(source.folder / WEIGHTS)
    with damage(path, "run `dvc repro selector`"):
        sizes = SelectorSizes(**content)
        selector = sizes.new(seed=0)
        state = load_file(path)
        vectors, bias = state.pop(_VECTORS), state.pop(_BIAS)
        if (vectors.shape, bias.shape) != ((sizes.units, sizes.embedding_dim), (sizes.units,)):
            raise ValueError(f"unit vectors of shape {tuple(vectors.shape)}")
        selector.load_state_dict({key.removeprefix("selector."): value for key, value in state.items()})
    trained_for = (sizes.semantic_width, sizes.positions, sizes.units)
    needed = (source.config.semantic_width, source.config.code.max_units + 1, len(source.lexicon))
    if trained_for != needed:
        message = f"{source.folder} was trained for semantic width, positions and units {trained_for}, not {needed}"
        raise DamagedArtifactError(f"{message}; run `dvc repro`")
    return SelectorPrior.of(selector, vectors.float(), bias)
