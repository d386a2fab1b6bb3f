"""A made-up language: random unit codes, Zipf's prior, and a controller that knows physics alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.controller.language import Language
from lexivert.controller.prior import Prior
from lexivert.controller.proposal import Proposer, Slots
from lexivert.controller.selector import Selector
from lexivert.encoder.binding import RotaryBinding
from lexivert.encoder.composition import superpose
from lexivert.index.faiss_index import UnitIndex, build
from lexivert.params import IndexParams

SEMANTIC_WIDTH, RANK = 8, 6


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

    def drawn(self, count: int, length: int, seed: int) -> list[list[int]]:
        """Texts of one length, every unit but END as often as the unigram prior says."""
        weights = self.language.log_prior.exp()
        weights[0] = 0.0
        generator = torch.Generator().manual_seed(seed)
        draws = torch.multinomial(weights, count * length, replacement=True, generator=generator)
        return draws.view(count, length).tolist()

    def slots(self, variance: float, rows: int, seed: int = 0) -> tuple[torch.Tensor, Slots]:
        """One position of each of some texts: a unit drawn from the prior, and its code in noise."""
        truth = torch.tensor(self.drawn(1, rows, seed)[0])
        codes = self.language.codes[truth].float()
        noise = torch.randn(codes.shape, generator=torch.Generator().manual_seed(seed))
        queries = torch.zeros(rows, RANK + 1)
        queries[:, -1] = 1.0
        evidence, variances = codes + math.sqrt(variance) * noise, torch.full((rows,), variance)
        return truth, Slots(torch.arange(rows), torch.zeros_like(truth), evidence, queries, variances)

    def log_posterior(self, slots: Slots) -> torch.Tensor:
        """Over all units, by a softmax over all of them. Shape: (M, V)."""
        prior = slots.queries @ self.proposer.prior.table.T
        return torch.log_softmax(slots.intentions @ self.language.codes.float().T + prior, dim=1)


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
            selector = Selector(SEMANTIC_WIDTH, RANK, 16, 2, positions).eval()
        prior = Prior.learned(selector, torch.randn(units, RANK, generator=generator), language.log_prior)
        proposer = Proposer(prior, index, language, candidates)
        return World(language, index, proposer)

    return make


@pytest.fixture(scope="session")
def world(make_world: Callable[..., World]) -> World:
    """2000 units, 512 wide, texts of up to 64 units; 500 units count as frequent."""
    return make_world(2000, 512, frequent=500)
