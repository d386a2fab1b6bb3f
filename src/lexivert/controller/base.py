"""What a decoding algorithm is, and the parts it is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch

from lexivert.codes.codebook import Codebook
from lexivert.config import ControllerParams
from lexivert.controller.observation import Observation
from lexivert.controller.results import DecodeResult
from lexivert.priors.base import Prior
from lexivert.search.unit_index import UnitIndex


@runtime_checkable
class DecodingAlgorithm(Protocol):
    """Reads texts back from vectors."""

    def decode(self, observed: Observation, *, trace: bool = False) -> DecodeResult:
        """Read texts back.

        Args:
            observed: B vectors; what is known of a text is kept, if the algorithm can.
            trace: record the rebuild, if it has one.
        """
        ...


@dataclass(frozen=True)
class Parts:
    """What decoding algorithms are made of.

    Attributes:
        codebook: codes, unigram prior and binding.
        index: nearest units.
        prior: over units and lengths.
        params: rules of the loops.
    """

    codebook: Codebook
    index: UnitIndex
    prior: Prior
    params: ControllerParams

    def with_prior(self, prior: Prior) -> Parts:
        """The same parts with another prior."""
        return replace(self, prior=prior)

    def to(self, device: torch.device | str) -> Parts:
        """The same parts on a device."""
        index = self.index.to(device)
        codebook = replace(self.codebook.to(device), codes=index.codes)  # one copy of the codes
        return replace(self, codebook=codebook, index=index, prior=self.prior.to(device))
