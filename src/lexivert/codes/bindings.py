"""Position binding: rotate pairs of dimensions by an angle times the position (RoPE, Su et al. 2021).

A rotation keeps length, is undone exactly by the opposite rotation, and leaves one code at two positions nearly
orthogonal, so that a sum of bound codes keeps both words and order (holographic reduced representations, Plate 1995).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lexivert.config import ModelConfig


class RotaryBinding:
    """Rotations ``R^i`` of O-wide vectors, for positions 0 to ``positions - 1``.

    The angles are one draw from each of O/2 equal arcs of the circle. Against RoPE's geometric series, where most
    pairs hardly turn between neighbours, the mean of ``cos(angle * shift)`` is near zero for every shift; against
    evenly spaced angles, no shift brings all pairs back at once.

    Args:
        width: O, even.
        positions: how many positions are tabulated.
        seed: fixes the angles; a vector can only be read back with the seed that made it.

    Raises:
        ValueError: the width is odd.
    """

    def __init__(self, width: int, positions: int, seed: int) -> None:
        if width % 2:
            raise ValueError(f"the order part is {width} wide; rotation needs an even width")
        pairs = width // 2
        generator = torch.Generator().manual_seed(seed)
        jitter = torch.rand(pairs, generator=generator, dtype=torch.float64)
        angles = 2 * math.pi * (torch.arange(pairs, dtype=torch.float64) + jitter) / pairs
        shuffled = angles[torch.randperm(pairs, generator=generator)]
        turns = torch.arange(positions, dtype=torch.float64)[:, None] * shuffled[None, :]
        self.width = width
        self.positions = positions
        self._phases = torch.polar(torch.ones_like(turns), turns).to(torch.complex64)

    def bind(self, codes: Tensor, positions: Tensor) -> Tensor:
        """Rotate each code to its position.

        Shape: codes (..., O) float32, positions (...) int64, result (..., O).
        """
        return self._rotate(codes, self._phases[positions])

    def unbind(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Rotate back: ``unbind(bind(c, i), i) == c``.

        Shape: vectors (..., O) float32, positions (...) int64, result (..., O).
        """
        return self._rotate(vectors, self._phases[positions].conj())

    @staticmethod
    def _rotate(vectors: Tensor, phases: Tensor) -> Tensor:
        pairs = torch.view_as_complex(vectors.reshape(*vectors.shape[:-1], vectors.shape[-1] // 2, 2).contiguous())
        return torch.view_as_real(pairs * phases).flatten(-2)


def binding_of(config: ModelConfig) -> RotaryBinding:
    """A model's binding: rotations for every position of the longest text, EOS included."""
    return RotaryBinding(config.order_width, config.code.max_units + 1, config.seed)
