"""A binding: circular convolution with unitary position vectors (holographic reduced representations, Plate 1995).

Every Fourier coefficient of a position vector has magnitude 1, so that convolving with it keeps length and is undone
by convolving with its inverse. One code at two positions is nearly orthogonal to itself, as phases are random.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lexivert.codes.bindings import BINDINGS, PositionTable


@BINDINGS.register("circular_convolution", label="circular convolution")
class CircularConvolution:
    """Convolves a code with the vector of its position, by FFT.

    Args:
        width: O.
        positions: how many positions there are.
        seed: fixes the position vectors; a vector can only be read back with the seed that made it.
    """

    def __init__(self, width: int, positions: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        shape = (positions, width // 2 + 1)
        phases = 2 * math.pi * torch.rand(shape, generator=generator, dtype=torch.float64, device="cpu")
        signs = torch.where(phases < math.pi, 0.0, math.pi)  # a real vector's first coefficient is real,
        phases[:, 0] = signs[:, 0]
        if width % 2 == 0:
            phases[:, -1] = signs[:, -1]  # and with an even width the last one, too
        self.width = width
        self.positions = positions
        self._spectra = PositionTable(torch.polar(torch.ones_like(phases), phases).to(torch.complex64))

    def bind(self, codes: Tensor, positions: Tensor) -> Tensor:
        """Convolve. Shape: codes (..., O) float32, positions (...) int64, result (..., O)."""
        if not codes.numel():
            return codes  # FFT of nothing is an error in some libraries
        bound: Tensor = torch.fft.irfft(torch.fft.rfft(codes) * self._spectra[positions], n=self.width)
        return bound

    def unbind(self, vectors: Tensor, positions: Tensor) -> Tensor:
        """Convolve with the inverse. Shape: as of ``bind``."""
        if not vectors.numel():
            return vectors
        codes: Tensor = torch.fft.irfft(torch.fft.rfft(vectors) * self._spectra[positions].conj(), n=self.width)
        return codes
