"""What is known about units before any vector is seen: codes, prior, rotations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from lexivert.codes.bindings import RotaryBinding
from lexivert.text.lexicon import EOS


@dataclass(frozen=True)
class Codebook:
    """Codes, prior and rotations.

    Attributes:
        codes: unit codes. Shape: (V, O) float16.
        log_prior: log unigram probability. Shape: (V,).
        binding: position rotations.
        min_distance: one minus the cosine of two codes that only the spelling tells min_distance: the identity part's energy.
        semantic_share: energy of the semantic prefix in a vector.
    """

    codes: Tensor
    log_prior: Tensor
    binding: RotaryBinding
    min_distance: float = 1.0
    semantic_share: float = 0.5

    @cached_property
    def eos_codes(self) -> Tensor:
        """EOS's code at every position. Shape: (P, O)."""
        return bound_eos_codes(self.codes, self.binding)


def bound_eos_codes(codes: Tensor, binding: RotaryBinding) -> Tensor:
    """EOS's code at every position. Shape: codes (V, O), result (P, O)."""
    positions = torch.arange(binding.positions)
    return binding.bind(codes[EOS].float().expand(len(positions), -1), positions)
