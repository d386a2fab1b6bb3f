"""A made-up language: random unit codes, Zipf's prior, and a controller that knows physics alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.controller.placer import Placer
from lexivert.controller.proposal import Language, Proposer
from lexivert.controller.selector import Selector
from lexivert.encoder.binding import RotaryBinding
from lexivert.encoder.composition import superpose
from lexivert.index.faiss_index import UnitIndex, build
from lexivert.params import IndexParams

SEMANTIC_WIDTH = 8


@dataclass(frozen=True)
class World:
    """A language with its index and an untrained controller."""

    language: Language
    index: UnitIndex
    proposer: Proposer

    def texts(self, lengths: list[int], seed: int = 0) -> list[list[int]]:
        """Random texts that hold every unit but END."""
        rng = np.random.default_rng(seed)
        return [rng.integers(1, len(self.language.codes), size=n).tolist() for n in lengths]

    def vectors(self, texts: list[list[int]]) -> torch.Tensor:
        """Order parts of unit length. Shape: (B, O)."""
        return F.normalize(superpose(texts, self.language.codes, self.language.binding), dim=1)


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    def make(units: int, width: int, positions: int = 65, candidates: int = 8, frequent: int = 8192) -> World:
        generator = torch.Generator().manual_seed(units)
        codes = F.normalize(torch.randn(units, width, generator=generator), dim=1).half()
        zipf = 1.0 / torch.arange(10, units + 10)
        language = Language(codes, torch.log(zipf / zipf.sum()), RotaryBinding(width, positions, seed=0))
        params = IndexParams(search_dims=0, shortlist=max(candidates, 8), frequent=frequent)
        index = UnitIndex(codes.numpy(), build(codes.numpy(), params), params)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            selector = Selector(width, SEMANTIC_WIDTH, 16, 1, 2, positions).eval()
            placer = Placer(8, 1, 2).eval()
        return World(language, index, Proposer(selector, placer, index, language, candidates))

    return make


@pytest.fixture(scope="session")
def world(make_world: Callable[..., World]) -> World:
    """2000 units, 512 wide, texts of up to 64 units; 500 units count as frequent."""
    return make_world(2000, 512, frequent=500)
