from __future__ import annotations

import itertools

import pytest

from lexivert.data.wordnet import WordNet, lemma_key
from lexivert.errors import DamagedArtifactError, MissingArtifactError


def test_spelling_variants_share_a_key():
    assert {lemma_key(text) for text in ("ice cream", "ice-cream", "Ice_Cream", "ice_cream")} == {"ice_cream"}


@pytest.mark.parametrize(
    ("form", "bases"),
    [
        ("ran", {"run"}),
        ("running", {"running", "run"}),
        ("runs", {"run"}),
        ("run", {"run"}),
        ("found", {"found", "find"}),
        ("children", {"child"}),
        ("stages", {"stage"}),
        ("hoped", {"hope"}),
        ("goes", {"go"}),
        ("ice_creams", {"ice_cream"}),
        ("larger", {"larger", "large"}),
        ("number", {"number"}),  # no comparative of numb
        ("as", {"as"}),  # no plural of a
        ("his", set()),  # no plural of hi
        ("the", set()),
        ("xyzzy", set()),
    ],
)
def test_base_forms(wordnet, form, bases):
    assert wordnet.base_forms(form) == bases


def test_senses(wordnet):
    senses = {sense.names: sense for sense in wordnet.senses()}
    dog = senses["dog", "domestic_dog", "Canis_familiaris"]
    assert set(dog.hypernyms) == {"n02083346", "n01317541"}
    assert dog.antonyms == ()
    assert "small" in senses["large", "big"].antonyms
    assert "little" in senses["large", "big"].antonyms
    assert senses["Paris", "City_of_Light", "French_capital", "capital_of_France"].hypernyms == ("n08691669",)


def test_senses_are_nltks(wordnet):
    """The direct reading against NLTK's objects, on adjectives, which have most antonyms."""
    senses = {(sense.names, frozenset(sense.antonyms)) for sense in wordnet.senses()}
    synsets = list(itertools.islice(wordnet._reader.all_eng_synsets("a"), 2000))
    antonyms = [
        frozenset(other.name() for lemma in synset.lemmas() for other in lemma.antonyms()) for synset in synsets
    ]
    assert sum(map(bool, antonyms)) > 300
    assert {(tuple(synset.lemma_names()), names) for synset, names in zip(synsets, antonyms, strict=True)} <= senses


def test_missing_and_damaged_folders(tmp_path):
    with pytest.raises(MissingArtifactError, match="dvc repro fetch"):
        WordNet(tmp_path / "raw" / "wordnet")
    (tmp_path / "raw" / "wordnet").mkdir(parents=True)
    with pytest.raises(DamagedArtifactError, match="is not a whole WordNet") as caught:
        WordNet(tmp_path / "raw" / "wordnet")
    assert "\n" not in str(caught.value)
