"""Position bindings: invertible maps that mark a code with its position, so that a sum of codes keeps their order.

A binding keeps length, is undone by its inverse, and leaves one code at two positions nearly orthogonal: then a sum
of bound codes keeps both words and order (holographic reduced representations, Plate 1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from lexivert.config import ModelConfig
from lexivert.registry import Registry


@runtime_checkable
class Binding(Protocol):
    """Marks codes with positions 0 to ``positions - 1``, on the device where the codes are.

    Attributes:
        width: O.
        positions: how many positions there are.
    """

    width: int
    positions: int

    def bind(self, codes: Tensor, positions: Tensor) -> Tensor:
        """Mark each code with its position; there may be none.

        Shape: codes (..., O) float32, positions (...) int64, result (..., O).
        """
        ...

    def unbind(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Undo ``bind``: ``unbind(bind(c, i), i) == c`` up to rounding. Shape: as of ``bind``."""
        ...


class PositionTable:
    """One row a position, looked up on the device where the positions are; copies are kept.

    Args:
        rows: Shape: (positions, ...).
    """

    def __init__(self, rows: Tensor) -> None:
        self._copies = {rows.device: rows}
        self._rows = rows

    def __getitem__(self, positions: Tensor) -> Tensor:
        """Rows of some positions. Shape: (...) int64 to (..., row)."""
        if positions.device not in self._copies:
            self._copies[positions.device] = self._rows.to(positions.device)
        return self._copies[positions.device][positions]


BINDINGS: Registry[Callable[[int, int, int], Binding]] = Registry("binding")
"""Factories of bindings: width, positions, seed."""


@BINDINGS.register("rotary", label="rotation")
class RotaryBinding:
    """Rotations ``R^i`` of pairs of dimensions by an angle times the position (RoPE, Su et al. 2021).

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
        generator = torch.Generator().manual_seed(seed)  # on the CPU: the same angles on every device
        jitter = torch.rand(pairs, generator=generator, dtype=torch.float64, device="cpu")
        angles = 2 * math.pi * (torch.arange(pairs, dtype=torch.float64, device="cpu") + jitter) / pairs
        shuffled = angles[torch.randperm(pairs, generator=generator, device="cpu")]
        turns = torch.arange(positions, dtype=torch.float64, device="cpu")[:, None] * shuffled[None, :]
        self.width = width
        self.positions = positions
        self._phases = PositionTable(torch.polar(torch.ones_like(turns), turns).to(torch.complex64))

    def bind(self, codes: Tensor, positions: Tensor) -> Tensor:
        """Rotate each code to its position. Shape: codes (..., O) float32, positions (...) int64, result (..., O)."""
        return self._rotate(codes, self._phases[positions])

    def unbind(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Rotate back. Shape: vectors (..., O) float32, positions (...) int64, result (..., O)."""
        return self._rotate(vectors, self._phases[positions].conj())

    @staticmethod
    def _rotate(vectors: Tensor, phases: Tensor) -> Tensor:
        pairs = torch.view_as_complex(vectors.reshape(*vectors.shape[:-1], vectors.shape[-1] // 2, 2).contiguous())
        return torch.view_as_real(pairs * phases).flatten(-2)


def binding_of(config: ModelConfig) -> Binding:
    """A model's binding, for every position of the longest text, EOS included.

    Raises:
        LexivertError: ``code.binding`` is not registered.
    """
    make = BINDINGS.make(config.code.binding)
    return make(config.order_width, config.code.max_units + 1, config.seed)
