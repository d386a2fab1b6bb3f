"""Which units are drawn, and where."""

from __future__ import annotations

import numpy as np
import pytest

from lexivert.data.wordnet import Synset
from lexivert.report import maps
from lexivert.text.lexicon import RESERVED, Lexicon


def entry(category: str, *lemmas: str) -> Synset:
    return Synset("n00000001", category, lemmas, "a definition", ())


ENTRIES = [
    entry("noun.animal", "dog", "Dog"),
    entry("noun.person", "dog"),
    entry("noun.animal", "dog"),
    entry("verb.motion", "run"),
]


@pytest.fixture
def lexicon() -> Lexicon:
    surfaces = (*RESERVED, "dog", "run", "the cat", "##ing")
    kinds = (*["control"] * 6, *["byte"] * 256, "word", "word", "ngram", "piece")
    usage = np.array([0] * len(RESERVED) + [50, 20, 10, 1000])
    return Lexicon(surfaces, kinds, usage, usage)


def test_a_lemma_has_the_class_of_most_of_its_senses():
    assert maps.categories(ENTRIES) == {"dog": "noun.animal", "run": "verb.motion"}


def test_pieces_and_reserved_units_are_not_drawn(lexicon):
    drawn = maps.draw(lexicon, maps.categories(ENTRIES), 100, seed=0)
    assert maps.surfaces(lexicon, drawn.units.tolist()) == ["dog", "run", "the cat"]
    assert drawn.kinds == ["word", "word", "ngram"]
    assert drawn.categories == ["noun.animal", "verb.motion", "other"]


def test_the_words_of_the_heat_map_stand_class_by_class(lexicon):
    chosen = maps.heat_words(lexicon, {"dog": "verb.motion", "run": "noun.animal"})
    assert maps.surfaces(lexicon, chosen) == ["run", "dog"]


def test_two_principal_components_of_a_plane_hold_all_its_variance():
    rng = np.random.default_rng(0)
    flat = rng.standard_normal((50, 2)) @ rng.standard_normal((2, 7))
    places, share = maps.principal(flat.astype(np.float32))
    assert places.shape == (50, 2)
    assert share == pytest.approx(1.0, abs=1e-5)


def test_t_sne_keeps_two_far_groups_apart_and_is_repeatable():
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(2, 10) * 10, 20, axis=0)
    vectors = (centres + 0.1 * rng.standard_normal((40, 10))).astype(np.float32)
    places = maps.neighbourhoods(vectors, perplexity=30.0, seed=1)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argmin(1)
    assert ((np.arange(40) < 20) == (nearest < 20)).all()
    assert np.array_equal(places, maps.neighbourhoods(vectors, perplexity=30.0, seed=1))


def test_cosines_by_hand():
    assert maps.cosines(np.array([[2.0, 0.0], [1.0, 1.0]], dtype=np.float32)) == pytest.approx(
        np.array([[1.0, 2**-0.5], [2**-0.5, 1.0]])
    )
