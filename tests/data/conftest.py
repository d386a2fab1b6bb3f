"""WordNet, read once."""

from __future__ import annotations

import pytest

from lexivert.artifacts import Paths
from lexivert.data.wordnet import Synset, WordNet, read_synsets


@pytest.fixture(scope="session")
def synsets(embedded: Paths) -> dict[str, Synset]:
    """All synsets by name."""
    return {synset.name: synset for synset in read_synsets(embedded.wordnet)}


@pytest.fixture(scope="session")
def wordnet(embedded: Paths) -> WordNet:
    """WordNet's dictionary files."""
    return WordNet(embedded.wordnet)
