"""What a prior is: log p(unit | position, belief about the text, semantic prefix), linear in unit vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from lexivert.config import ModelConfig
from lexivert.registry import Registry
from lexivert.search.output_layer import OutputLayer
from lexivert.text.lexicon import EOS, Lexicon

TOP_K = 3
"""Candidates, with their marginals, by which a prior sees what stands at a position."""


@dataclass(frozen=True)
class Belief:
    """What a prior sees of B half-decoded texts, padded to N positions: each position's likeliest units.

    Attributes:
        units: candidates, -1 for none. Shape: (B, N, k).
        marginals: probability of each, 1 for a committed unit, 0 for none. Shape: (B, N, k).
        length: units before EOS, as now believed. Shape: (B,).
        prefix: given semantic prefixes, unit length. Shape: (B, S).
        cosine: expected cosine of each with the clean one; 0 if there is none. Shape: (B,).
    """

    units: Tensor
    marginals: Tensor
    length: Tensor
    prefix: Tensor
    cosine: Tensor

    @classmethod
    def certain(cls, units: Tensor, length: Tensor, prefix: Tensor, cosine: Tensor) -> Belief:
        """The units are known for certain; nothing is where they are -1. Shape: units (B, N), the others as above."""
        candidates = units.new_full((*units.shape, TOP_K), -1)
        candidates[:, :, 0] = units
        marginals = prefix.new_zeros(candidates.shape)
        marginals[:, :, 0] = (units >= 0).float()
        return cls(candidates, marginals, length, prefix, cosine)

    @classmethod
    def empty(cls, positions: int, length: Tensor, prefix: Tensor) -> Belief:
        """Nothing is known but a clean prefix and a length. Shape: length (B,), prefix (B, S)."""
        nothing = length.new_full((len(length), positions), -1)
        return cls.certain(nothing, length, prefix, prefix.norm(dim=1))


@runtime_checkable
class Prior(Protocol):
    """Log prior ``<q, weight[u]> + bias[u]`` of every unit u at every position.

    A causal or bidirectional transformer with a linear output layer is one: its hidden states are the queries, its
    output embeddings the layer, expected embeddings under the marginals its inputs. A position's query must not
    depend on what is believed of that position itself, whose evidence is multiplied in. Dense logits that are not
    linear in unit vectors can't be searched by the eight-bit index.

    """

    @property
    def output(self) -> OutputLayer:
        """Unit vectors (V, H) and biases (V,); EOS's bias rules it out."""
        ...

    def queries(self, belief: Belief) -> Tensor:
        """One query for every position. Shape: (B, N, H)."""
        ...

    def log_length(self, belief: Belief, positions: int) -> Tensor:
        """Log probability of every length, given the prefix. Shape: (B, positions)."""
        ...

    def without(self, units: Sequence[int]) -> Self:
        """The same prior with some units ruled out."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """The same prior on a device."""
        ...


@dataclass(frozen=True)
class PriorSource:
    """What a prior may be made from when a model is loaded.

    Attributes:
        lexicon: the units; their unigram probabilities among them.
        config: of the model.
        folder: of a trained prior; one that needs none does not look at it. In a project it is what stands behind the
            colon in ``controller.prior``, else where stage ``selector`` left the Selector; in a model folder it is
            ``prior``, where the prior's own ``save(folder)``, if it has one, has written.
    """

    lexicon: Lexicon
    config: ModelConfig
    folder: Path

    def log_prior(self) -> Tensor:
        """Log unigram probability of every unit. Shape: (V,)."""
        return torch.from_numpy(self.lexicon.log_prior())


PRIORS: Registry[Callable[[PriorSource], Prior]] = Registry("prior")
"""Factories of priors."""


def load_prior(name: str, lexicon: Lexicon, config: ModelConfig, folder: Path) -> Prior:
    """Make the prior that ``controller.prior`` names.

    Args:
        name: an entry of ``PRIORS``, or one with a folder behind a colon.
        lexicon: the units.
        config: of the model.
        folder: of a trained prior, if none stands behind a colon.

    Raises:
        LexivertError: it is not registered, or its files are missing or damaged.
    """
    entry, _, own = name.partition(":")
    return PRIORS.make(entry)(PriorSource(lexicon, config, Path(own) if own else folder))


def ruled_out_eos(output: OutputLayer) -> OutputLayer:
    """The layer with EOS ruled out: where a text ends is told by EOS's own evidence."""
    return output.without([EOS])
