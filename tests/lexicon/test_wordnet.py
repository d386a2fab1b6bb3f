from __future__ import annotations

import pytest

from lexivert.errors import DamagedArtifactError, MissingArtifactError
from lexivert.lexicon.wordnet import WordNet, lemma_key


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
        ("mates", {"mate"}),
        ("hoped", {"hope"}),
        ("goes", {"go"}),
        ("ice_creams", {"ice_cream"}),
        ("larger", {"large"}),
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
    assert dog.hypernyms == ("canine.n.02", "domestic_animal.n.01")
    assert dog.antonyms == ()
    assert "small" in senses["large", "big"].antonyms
    assert "little" in senses["large", "big"].antonyms
    assert senses["Paris", "City_of_Light", "French_capital", "capital_of_France"].hypernyms == (
        "national_capital.n.01",
    )


def test_missing_and_damaged_folders(tmp_path):
    with pytest.raises(MissingArtifactError, match="dvc repro fetch"):
        WordNet(tmp_path / "raw" / "wordnet")
    (tmp_path / "raw" / "wordnet").mkdir(parents=True)
    with pytest.raises(DamagedArtifactError, match="is not a whole WordNet") as caught:
        WordNet(tmp_path / "raw" / "wordnet")
    assert "\n" not in str(caught.value)
