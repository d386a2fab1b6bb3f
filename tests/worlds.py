"""Fixtures of random lexicons, with all that decoding algorithms are made of."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.codes.power import unit_energies, with_energies
from lexivert.config import ControllerParams
from lexivert.controller.base import Parts
from lexivert.controller.candidates import Queries
from lexivert.controller.observation import Observation
from lexivert.priors.selector import Selector, SelectorPrior
from lexivert.search.unit_index import UnitIndex
from sections import section

SEMANTIC_WIDTH, EMBEDDING_DIM = 8, 6


@dataclass(frozen=True)
class World:
    """A random lexicon with its index, an untrained Selector, and the repository's rules.

    Attributes:
        codebook: codes, unigram prior and binding.
        index: nearest units.
        prior: an untrained Selector's, which is the unigram one.
        params: rules of the loops.
    """

    codebook: Codebook
    index: UnitIndex
    prior: SelectorPrior
    params: ControllerParams

    @property
    def parts(self) -> Parts:
        """What decoding algorithms are made of."""
        return Parts(self.codebook, self.index, self.prior, self.params)

    def texts(self, lengths: list[int], seed: int = 0) -> list[list[int]]:
        """Random texts of these lengths, every unit but EOS as likely as any other."""
        rng = np.random.default_rng(seed)
        return [rng.integers(1, len(self.codebook), size=n).tolist() for n in lengths]

    def vectors(self, texts: list[list[int]]) -> torch.Tensor:
        """Order parts of unit length. Shape: (B, O)."""
        return F.normalize(self.codebook.superpose(texts), dim=1)

    def observed(self, order: torch.Tensor, known: torch.Tensor | None = None) -> Observation:
        """Order parts of any length, without a prefix. Shape: (B, O), known (B, N)."""
        return Observation.of(order, torch.zeros(len(order), SEMANTIC_WIDTH), known)

    def drawn(self, count: int, length: int, seed: int) -> list[list[int]]:
        """Texts of one length, every unit but EOS as often as the unigram prior says."""
        weights = self.codebook.log_prior.exp()
        weights[0] = 0.0
        generator = torch.Generator().manual_seed(seed)
        draws = torch.multinomial(weights, count * length, replacement=True, generator=generator)
        return draws.view(count, length).tolist()

    def queries(self, variance: float, rows: int, seed: int = 0) -> tuple[torch.Tensor, Queries]:
        """One position of each of some texts: a unit drawn from the prior, and its code in noise."""
        truth = torch.tensor(self.drawn(1, rows, seed)[0])
        codes = self.codebook.codes[truth].float()
        noise = torch.randn(codes.shape, generator=torch.Generator().manual_seed(seed))
        return truth, Queries(
            rows=torch.arange(rows),
            positions=torch.zeros_like(truth),
            natural=(codes + math.sqrt(variance) * noise) / variance,
            prior=torch.zeros(rows, EMBEDDING_DIM),
            variance=torch.full((rows,), variance),
            current=torch.full_like(truth, -1),
            frequent_only=torch.zeros(rows, dtype=torch.bool),
        )

    def log_posterior(self, queries: Queries) -> torch.Tensor:
        """Over all units, by a softmax over all of them. Shape: (m, V)."""
        log_prior = queries.prior @ self.prior.output.weight.T + self.prior.output.bias
        evidence = queries.natural @ self.codebook.codes.float().T
        evidence -= self.codebook.energies / (2.0 * queries.variance[:, None])
        return torch.log_softmax(evidence + log_prior, dim=1)


@pytest.fixture(scope="session")
def make_world() -> Callable[..., World]:
    """Makes a ``World`` of so many units and dimensions, for texts of fewer units than ``positions``.

    Codes have the same energy unless ``surprisal_share`` says otherwise; EOS's grows with the length at ``eos_nats``.
    """

    def make(
        units: int,
        width: int,
        positions: int = 65,
        candidates: int = 8,
        frequent: int = 8192,
        surprisal_share: float = 0.0,
        eos_nats: float = 0.0,
    ) -> World:
        generator = torch.Generator().manual_seed(units)
        codes = F.normalize(torch.randn(units, width, generator=generator), dim=1).half()
        zipf = 1.0 / torch.arange(10, units + 10)
        log_prior = torch.log(zipf / zipf.sum())
        codes = with_energies(codes, unit_energies(log_prior, surprisal_share, 1.5 if surprisal_share else 1.0))
        codebook = Codebook(codes, log_prior, RotaryBinding(width, positions, seed=0), eos_nats=eos_nats)
        index = UnitIndex.build(
            codes, section("index", factory="Flat", search_dims=0, shortlist=max(candidates, 8), frequent=frequent)
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            selector = Selector(SEMANTIC_WIDTH, EMBEDDING_DIM, 16, 2, positions).eval()
        vectors = torch.randn(units, EMBEDDING_DIM, generator=generator)
        prior = SelectorPrior.of(selector, vectors, codebook.log_prior)
        return World(codebook, index, prior, section("controller", easy_first={"candidates": candidates}))

    return make


@pytest.fixture(scope="session")
def world(make_world: Callable[..., World]) -> World:
    """2000 units, 512 wide, texts of up to 64 units; 500 units count as frequent."""
    return make_world(2000, 512, frequent=500)
