"""A lexicon of three words and its model's layout."""

from __future__ import annotations

import numpy as np
import pytest

from lexivert.config import ModelConfig
from lexivert.text.lexicon import RESERVED, Lexicon


@pytest.fixture
def lexicon() -> Lexicon:
    """The reserved units and three words, each unit rarer than the one before."""
    surfaces = (*RESERVED, "a", "b", "c")
    usage = np.arange(len(surfaces), 0, -1, dtype=np.int64)
    return Lexicon(surfaces, ("word",) * len(surfaces), usage, usage)


@pytest.fixture
def config(tiny_params) -> ModelConfig:
    """Its layout, with a backbone of 32 dimensions."""
    return ModelConfig.of(tiny_params, 32)
