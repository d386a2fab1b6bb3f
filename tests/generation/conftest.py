"""Priors of which every logit is known by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from generation.conditional_cases import conditional
from lexivert.generation.conditional_model import ConditionalModel
from lexivert.language_model import storage
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.priors.base import Belief
from lexivert.search.output_layer import OutputLayer


@dataclass(frozen=True)
class Told:
    """A prior that wants the same units at the same positions of every text, and one length.

    Attributes:
        output: the identity, so that a query is the logits but for the biases.
        wanted: unit of each position, the last one's also beyond; empty if all are alike.
        length: units of a text.
    """

    output: OutputLayer
    wanted: tuple[int, ...]
    length: int

    def queries(self, belief: Belief) -> Tensor:
        """Logits of 5 for what is wanted. Shape: (B, N, V)."""
        batch, n = belief.marginals.shape[:2]
        if not self.wanted:
            return torch.zeros(batch, n, len(self.output))
        wanted = torch.tensor(self.wanted)[torch.arange(n).clamp(max=len(self.wanted) - 1)]
        return 5.0 * F.one_hot(wanted, len(self.output)).float().expand(batch, -1, -1)

    def log_length(self, belief: Belief, positions: int) -> Tensor:
        """Shape: (B, positions)."""
        return 9.0 * F.one_hot(torch.full((len(belief.length),), self.length), positions).float()

    def without(self, units: Sequence[int]) -> Told:
        """The same prior with some units ruled out."""
        return Told(self.output.without(units), self.wanted, self.length)

    def to(self, device: torch.device | str) -> Told:
        """The same prior on a device."""
        return Told(self.output.to(device), self.wanted, self.length)


@pytest.fixture(scope="session")
def told() -> Callable[..., Told]:
    def make(units: int, wanted: Sequence[int], length: int, bias: Tensor | None = None) -> Told:
        layer = OutputLayer(torch.eye(units), torch.zeros(units) if bias is None else bias)
        return Told(layer, tuple(wanted), length)

    return make


@pytest.fixture(scope="session")
def language_model(tiny_language_model: Path, tmp_path_factory: pytest.TempPathFactory) -> CausalLanguageModel:
    """The tiny language model, loaded."""
    folder = tmp_path_factory.mktemp("language_model") / "model"
    storage.write(str(tiny_language_model), folder)
    found = storage.load(folder, "cpu")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def model(language_model: CausalLanguageModel) -> ConditionalModel:
    """An untrained conditional model over its tokens."""
    return conditional(language_model.model.get_input_embeddings().weight.shape[0], language_model.start_id)
