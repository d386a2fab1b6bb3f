"""Fixed priors, the same at every position: flat, and unigram."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.priors.base import PRIORS, Belief, PriorSource, ruled_out_eos
from lexivert.search.output_layer import OutputLayer


@dataclass(frozen=True)
class FixedPrior:
    """A prior that looks at nothing: biases alone (H = 0), and all lengths alike.

    Attributes:
        output: the biases.
    """

    output: OutputLayer

    @classmethod
    def of(cls, log_prior: Tensor) -> FixedPrior:
        """From log probabilities, EOS ruled out. Shape: (V,)."""
        return cls(ruled_out_eos(OutputLayer(log_prior.new_zeros(len(log_prior), 0), log_prior)))

    def queries(self, belief: Belief) -> Tensor:
        """Empty queries. Shape: (B, N, 0)."""
        return belief.marginals.new_zeros(*belief.marginals.shape[:2], 0)

    def log_length(self, belief: Belief, positions: int) -> Tensor:
        """Zeros: no length is preferred. Shape: (B, positions)."""
        return belief.prefix.new_zeros(len(belief.length), positions)

    def without(self, units: Sequence[int]) -> FixedPrior:
        """The same prior with some units ruled out."""
        return FixedPrior(self.output.without(units))

    def to(self, device: torch.device | str) -> FixedPrior:
        """The same prior on a device."""
        return FixedPrior(self.output.to(device))


def unigram(log_prior: Tensor) -> FixedPrior:
    """Units as frequent as in training text. Shape: log_prior (V,)."""
    return FixedPrior.of(log_prior)


def flat(log_prior: Tensor) -> FixedPrior:
    """All units alike. Shape: log_prior (V,), whose size alone counts."""
    return FixedPrior.of(torch.full_like(log_prior, -math.log(len(log_prior))))


@PRIORS.register("unigram", label="unigram prior")
def load_unigram(source: PriorSource) -> FixedPrior:
    """The unigram prior of a model's lexicon."""
    return unigram(source.log_prior())


@PRIORS.register("flat", label="flat prior")
def load_flat(source: PriorSource) -> FixedPrior:
    """The flat prior of a model's lexicon."""
    return flat(source.log_prior())
