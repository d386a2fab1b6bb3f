"""The codebook: unit codes, their unigram prior, and the binding that marks them with positions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from lexivert.codes.bindings import Binding
from lexivert.codes.power import eos_energies, eos_scale
from lexivert.codes.superposition import superpose
from lexivert.half_floats import squared_lengths
from lexivert.text.lexicon import EOS


@dataclass(frozen=True)
class Codebook:
    """All that decoding knows of units before it sees a vector.

    Attributes:
        codes: unit codes, of the lengths that ``power.unit_energies`` gives them. Shape: (V, O) float16.
        log_prior: log unigram probability. Shape: (V,).
        binding: marks codes with positions.
        min_distance: minimum distance of two codewords, one minus their cosine, times the least energy of a code:
            the identity part's energy, since two units may differ in spelling alone.
        semantic_share: energy of the semantic prefix in a vector, a.
        eos_nats: evidence of EOS that its energy is enough for at every length, see ``power.eos_energies``.
    """

    codes: Tensor
    log_prior: Tensor
    binding: Binding
    min_distance: float = 1.0
    semantic_share: float = 0.5
    eos_nats: float = 0.0

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def width(self) -> int:
        """Width of the order part, O."""
        return self.codes.shape[1]

    @property
    def device(self) -> torch.device:
        """Where the codes lie, and what is computed with them."""
        return self.codes.device

    @cached_property
    def eos_codes(self) -> Tensor:
        """EOS's code bound to every position, as long as it is there. Shape: (P, O)."""
        positions = torch.arange(self.binding.positions, device=self.device)
        return self.binding.bind(self.codes[EOS].float() * self.eos_scale[:, None], positions)

    @cached_property
    def energies(self) -> Tensor:
        """Each code's squared length. Shape: (V,)."""
        return squared_lengths(self.codes)

    @cached_property
    def eos_energies(self) -> Tensor:
        """Squared length of EOS's code at every position. Shape: (P,)."""
        return eos_energies(self.energies[EOS], self.eos_nats, self.width, self.binding.positions)

    @cached_property
    def eos_scale(self) -> Tensor:
        """Factor of EOS's code at every position. Shape: (P,)."""
        return eos_scale(self.codes[EOS], self.eos_nats, self.binding.positions)

    def superpose(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Sum of bound codes of each of B texts, EOS included, not normalised. Shape: (B, O) float32."""
        return superpose(texts, self.codes, self.binding, self.eos_scale)

    def embed(self, units: Tensor) -> Tensor:
        """Codes of units as float32; of a negative id, that of unit 0. Shape: (...) to (..., O)."""
        return self.codes[units.clamp_min(0)].float()

    def to(self, device: torch.device | str) -> Codebook:
        """The same codebook on a device."""
        return replace(self, codes=self.codes.to(device), log_prior=self.log_prior.to(device))
