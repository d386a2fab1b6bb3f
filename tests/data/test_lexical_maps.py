from __future__ import annotations

import itertools

import pytest

from lexivert.data.lexical_maps import lexical_maps
from lexivert.data.relations import RELATIONS, SCHEMA
from lexivert.data.wordnet import Synset

UNITS = {
    "large": "word",
    "big": "word",
    "Large": "cased",
    "small": "word",
    "little": "word",
    "run": "word",
    "ran": "word",
    "running": "word",
    "runs": "word",
    "ice cream": "ngram",
    "ice-cream": "word",
    "the": "word",
    "The": "cased",
    "polish": "word",
    "Polish": "cased",
    "February": "entity",
    "March": "cased",
    "march": "word",
    "Americans": "entity",
    "American": "entity",
    "1234": "number",
    "##run": "piece",
}


class Dictionary:
    """WordNet's two questions answered from a handful of synsets."""

    def __init__(self, *synsets):
        self._synsets = synsets

    def synsets(self):
        return iter(self._synsets)

    def base_forms(self, key):
        return frozenset({key} if any(key in synset.lemmas for synset in self._synsets) else ())


def synset(lemmas, antonyms=(), hypernyms=()):
    return Synset("n1", "noun.act", lemmas, "", (), hypernyms, antonyms)


def related(units, wordnet, max_synonyms=25, max_siblings=25):
    surfaces = list(units)
    maps = lexical_maps(surfaces, list(units.values()), wordnet, max_synonyms=max_synonyms, max_siblings=max_siblings)
    table = maps.table(RELATIONS)
    rows = zip(table["unit_id"], table["other_id"], table["relation"].to_pylist(), strict=True)
    return {(surfaces[unit], surfaces[other]): relation for unit, other, relation in rows}


@pytest.fixture(scope="module")
def relations(wordnet):
    return related(UNITS, wordnet)


@pytest.mark.parametrize(
    ("unit", "other", "relation"),
    [
        ("large", "big", "synonym"),
        ("Large", "big", "synonym"),
        ("large", "small", "antonym"),
        ("Large", "little", "antonym"),
        ("large", "Large", "inflection"),
        ("ran", "running", "inflection"),
        ("run", "runs", "inflection"),
        ("ice cream", "ice-cream", "inflection"),
        ("February", "March", "sibling"),
        ("Americans", "American", "inflection"),
        ("the", "The", None),
        ("February", "march", None),
        ("run", "1234", None),
        ("run", "##run", None),
        ("large", "run", None),
    ],
)
def test_real_relations(relations, unit, other, relation):
    assert relations.get((unit, other)) == relation
    assert relations.get((other, unit)) == relation


def test_every_pair_once_and_symmetric(wordnet):
    maps = lexical_maps(list(UNITS), list(UNITS.values()), wordnet, max_synonyms=25, max_siblings=25)
    table = maps.table(["synonym", "inflection", "sibling"])
    pairs = list(zip(table["unit_id"].tolist(), table["other_id"].tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert set(pairs) == {(other, unit) for unit, other in pairs}
    assert pairs == sorted(pairs)
    assert all(unit != other for unit, other in pairs)
    assert set(table) == set(SCHEMA.names)
    assert maps.metrics()["antonym"] == {"rows": 12, "units": 5}  # large, big, Large against small and little


def test_precedence_states_one_relation_a_pair():
    synsets = [
        synset(("hot", "warm"), antonyms=("cold",), hypernyms=("temperature",)),
        synset(("warm", "cold"), antonyms=(), hypernyms=("temperature",)),
        synset(("mild",), antonyms=(), hypernyms=("temperature",)),
    ]
    found = related(dict.fromkeys(["hot", "warm", "cold", "mild"], "word"), Dictionary(*synsets))
    assert found["hot", "cold"] == "antonym"
    assert found["warm", "cold"] == "antonym"
    assert found["hot", "warm"] == "synonym"
    assert found["hot", "mild"] == found["mild", "cold"] == "sibling"
    assert len(found) == 12


def test_units_with_too_many_synonyms_lose_all_of_them():
    words = ["a", "b", "c", "d"]
    synsets = [synset(("a", word), (), ()) for word in words[1:]] + [synset(("b", "c"), (), ())]
    units = dict.fromkeys(words, "word")
    pairs = set(itertools.permutations("abcd", 2))
    assert set(related(units, Dictionary(*synsets), max_synonyms=3)) == pairs - {
        ("b", "d"),
        ("d", "b"),
        ("c", "d"),
        ("d", "c"),
    }
    assert set(related(units, Dictionary(*synsets), max_synonyms=2)) == {("b", "c"), ("c", "b")}


def test_a_hypernym_with_too_many_children_relates_none():
    synsets = [synset((word,), (), ("general",)) for word in "abcd"] + [
        synset((word,), (), ("narrow",)) for word in "ab"
    ]
    units = dict.fromkeys("abcd", "word")
    assert len(related(units, Dictionary(*synsets), max_siblings=3)) == 12
    assert set(related(units, Dictionary(*synsets), max_siblings=2)) == {("a", "b"), ("b", "a")}


def test_lowercase_units_are_not_names():
    synsets = [synset(("Polish", "Polonese"), (), ()), synset(("polish", "shine"), (), ())]
    units = {"polish": "word", "Polish": "cased", "Polonese": "entity", "shine": "word"}
    found = related(units, Dictionary(*synsets))
    assert ("polish", "Polonese") not in found
    assert found["Polish", "Polonese"] == found["Polish", "shine"] == found["polish", "shine"] == "synonym"


def test_no_units_no_relations():
    maps = lexical_maps([], [], Dictionary(synset(("a", "b"), (), ())), max_synonyms=25, max_siblings=25)
    assert maps.metrics() == {name: {"rows": 0, "units": 0} for name in RELATIONS}
