from __future__ import annotations

import numpy as np
import pytest

from lexivert.evaluation.neighbours import BY_MAPS, PHRASE_TAGS, TAGS, Tagger, purity

SURFACES = (
    "dog", "Dog", "##dog", "dogs", "hound", "wolf", "cat", "hot", "hotdog",
    "hot dog", "Hot Dog", "hot dogs", "the hound", "in the hat",
)  # fmt: skip
UNIT = {surface: unit for unit, surface in enumerate(SURFACES)}


def pairs(**relations):
    """Coded relations, both directions of each pair of surfaces."""
    size = len(SURFACES)
    return {
        relation: np.sort([UNIT[a] * size + UNIT[b] for x, y in named for a, b in ((x, y), (y, x))]).astype(np.int64)
        for relation, named in relations.items()
    }


MAPS = pairs(
    inflection=[("dog", "dogs"), ("hot dog", "hot dogs")],
    synonym=[("dog", "hound"), ("hot dog", "dog")],
    sibling=[("dog", "wolf")],
    antonym=[("dog", "cat")],
)


@pytest.mark.parametrize(
    ("unit", "other", "tag"),
    [
        ("dog", "Dog", "same lemma"),
        ("dog", "##dog", "same lemma"),
        ("dog", "dogs", "same lemma"),
        ("dog", "hound", "synonym"),
        ("dog", "wolf", "related"),
        ("dog", "cat", "opposite"),
        ("dog", "hot dog", "synonym"),  # a phrase with it, too, but the maps come first
        ("hound", "the hound", "phrase with it"),
        ("Dog", "Hot Dog", "phrase with it"),
        ("dog", "hotdog", "unrelated"),  # within a word is not within a phrase
        ("dog", "hot dogs", "unrelated"),
        ("hound", "wolf", "unrelated"),
        ("cat", "dogs", "unrelated"),
        ("hot dog", "Hot Dog", "same phrase"),
        ("hot dog", "hot dogs", "same phrase"),
        ("hot dog", "dog", "synonym"),
        ("Hot Dog", "dog", "shares a word"),
        ("hot dogs", "Hot Dog", "shares a word"),
        ("hot dog", "cat", "unrelated"),
    ],
)
def test_the_first_tag_that_holds(unit, other, tag):
    assert Tagger(SURFACES, MAPS).tags(UNIT[unit], [UNIT[other]]) == [tag]


def test_of_two_relations_the_closer_one_counts():
    chosen = ["inflection", "synonym", "sibling", "antonym"]
    tags = ["same lemma", "synonym", "related", "opposite"]
    for place, tag in enumerate(tags):
        tagger = Tagger(SURFACES, pairs(**{name: [("cat", "hound")] for name in chosen[place:]}))
        assert tagger.tags(UNIT["cat"], [UNIT["hound"]]) == [tag]


def test_common_words_are_no_sign_of_relation():
    unit, other = UNIT["the hound"], UNIT["in the hat"]
    assert Tagger(SURFACES, MAPS).tags(unit, [other]) == ["shares a word"]
    assert Tagger(SURFACES, MAPS, frozenset({"the"})).tags(unit, [other]) == ["unrelated"]


def test_tags_keep_the_order_of_the_neighbours():
    near = [UNIT[surface] for surface in ("cat", "dogs", "hot", "wolf")]
    assert Tagger(SURFACES, MAPS).tags(UNIT["dog"], near) == ["opposite", "same lemma", "unrelated", "related"]


@pytest.mark.parametrize(
    ("unit", "count"),
    [
        ("dog", 6),  # Dog, ##dog, dogs, hound, hot dog and wolf, but not its opposite
        ("Dog", 2),
        ("hot dog", 3),  # Hot Dog, hot dogs and dog
        ("cat", 0),
        ("hotdog", 0),
    ],
)
def test_related_counts_all_units_whose_tag_is_one_by_maps(unit, count):
    tagger = Tagger(SURFACES, MAPS)
    tags = tagger.tags(UNIT[unit], [other for other in UNIT.values() if other != UNIT[unit]])
    assert tagger.related(UNIT[unit]) == sum(tag in BY_MAPS for tag in tags) == count


def test_a_unit_related_twice_counts_once():
    maps = pairs(inflection=[("dog", "Dog"), ("dog", "dogs")], synonym=[("dog", "dogs")])
    assert Tagger(SURFACES, maps).related(UNIT["dog"]) == 3  # Dog, ##dog, dogs


def test_purity_counts():
    tagged = [
        ["same lemma", "synonym", "phrase with it", "unrelated"],
        ["unrelated", "unrelated", "related", "opposite"],
    ]
    assert purity(tagged, TAGS) == pytest.approx(
        {
            "same_lemma": 1 / 8,
            "synonym": 1 / 8,
            "related": 1 / 8,
            "opposite": 1 / 8,
            "phrase_with_it": 1 / 8,
            "unrelated": 3 / 8,
            "purity": 4 / 8,  # neither the unrelated nor the opposite
            "purity_by_maps": 3 / 8,  # nor the phrase
        }
    )


def test_purity_of_phrases_and_of_nothing():
    report = purity([["same phrase", "shares a word"]], PHRASE_TAGS)
    assert (report["same_phrase"], report["shares_a_word"]) == (0.5, 0.5)
    assert (report["purity"], report["purity_by_maps"]) == (1.0, 0.5)
    assert set(purity([], TAGS).values()) == {0.0}
