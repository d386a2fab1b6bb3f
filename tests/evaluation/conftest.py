"""A random codebook with an untrained Selector, and texts for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.config import ModelConfig
from lexivert.controller.base import Parts
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation.corruptions import flat_index
from lexivert.priors.selector import Selector, SelectorPrior
from sections import section

_UNITS, _WIDTH, _SEMANTIC_WIDTH = 300, 256, 8


@pytest.fixture(scope="session")
def config() -> ModelConfig:
    """Texts of up to 59 units, 8 + 256 dimensions, an exact index."""
    return ModelConfig(
        seed=3,
        semantic_width=_SEMANTIC_WIDTH,
        backbone=section("backbone"),
        code=section("code", embed_dim=_SEMANTIC_WIDTH + _WIDTH, max_units=59),
        index=section("index", search_dims=0, shortlist=16, frequent=100),
    )


@pytest.fixture(scope="session")
def parts(config: ModelConfig) -> Parts:
    """300 units of random codes with Zipf's frequencies; .4 of a vector's energy is the prefix's."""
    generator = torch.Generator().manual_seed(0)
    codes = F.normalize(torch.randn(_UNITS, _WIDTH, generator=generator), dim=1).half()
    log_prior = torch.log_softmax(-torch.arange(_UNITS).float().add(10).log(), dim=0)
    codebook = Codebook(codes, log_prior, RotaryBinding(_WIDTH, 60, seed=0), semantic_share=0.4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        selector = Selector(_SEMANTIC_WIDTH, 6, 16, 2, 60).eval()
    prior = SelectorPrior.of(selector, torch.randn(_UNITS, 6, generator=generator), log_prior)
    return Parts(
        codebook, flat_index(codes, config.index), prior, section("controller", easy_first={"candidates": 8})
    )


@pytest.fixture(scope="session")
def drawn() -> Callable[..., EncodedTexts]:
    """Random texts of given lengths with random prefixes."""

    def draw(lengths: Sequence[int], seed: int = 0) -> EncodedTexts:
        generator = torch.Generator().manual_seed(seed)
        units = [torch.randint(1, _UNITS, (n,), generator=generator).tolist() for n in lengths]
        prefixes = torch.randn(len(lengths), _SEMANTIC_WIDTH, generator=generator)
        return EncodedTexts([], units, F.normalize(prefixes, dim=1))

    return draw
