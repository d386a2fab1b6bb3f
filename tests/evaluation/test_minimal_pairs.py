from __future__ import annotations

import re

import numpy as np
import pytest

from lexivert.evaluation.minimal_pairs import (
    ADVERBS,
    VERBS,
    negate,
    negation,
    neighbouring_words,
    subject_object,
    swap_neighbours,
)

NOUNS = ["baker", "captain", "daughter", "eagle", "farmer", "king", "lady", "sailor", "thief"]
ADJECTIVES = ["bold", "calm", "dark", "green", "old", "sad", "tall", "young"]


def swaps(text, tries=60):
    return {swap_neighbours(text, np.random.default_rng(seed)) for seed in range(tries)}


def words_of(text):
    return [word.lower() for word in re.findall(r"\w+", text)]


class TestSwapNeighbours:
    def test_every_pair_of_neighbours_and_no_other_can_be_drawn(self):
        assert swaps("then the owl saw it.") == {
            "the then owl saw it.",
            "then owl the saw it.",
            "then the saw owl it.",
            "then the owl it saw.",
        }

    def test_words_and_capital_stay(self):
        text = "The silent owl watched the mill, and the letter wanted the river."
        for changed in swaps(text):
            assert sorted(words_of(changed)) == sorted(words_of(text))
            assert changed.startswith("The ")
            pairs = zip(words_of(text), words_of(changed), strict=True)
            first, *others = [place for place, (one, other) in enumerate(pairs) if one != other]
            assert others == [first + 1]

    def test_words_with_capitals_stay_in_their_places(self):
        assert swaps("The owl saw Emma Brown here") == {"The saw owl Emma Brown here"}

    def test_what_stands_between_words_parts_them(self):
        assert swaps("red, blue green  old") == {"red, green blue  old"}

    @pytest.mark.parametrize("text", ["", "rose", "very very very", "one, two; three", "12 34", "The Owl saw"])
    def test_none_where_no_two_words_can_change_places(self, text):
        assert swaps(text) == {None}

    @pytest.mark.parametrize(
        ("text", "changed"),
        [
            ("don't you", {"you don't"}),
            ("a well-known man", {"well-known a man", "a man well-known"}),
            ("naïve man", {"man naïve"}),
            ("the 1st man", {None}),
        ],
    )
    def test_words_are_not_torn(self, text, changed):
        assert swaps(text) == changed


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("The owl was old.", "The owl was not old."),
        ("She could see that it was late.", "She could not see that it was late."),  # the first
        ("It is not what it was then.", "It is not what it was not then."),  # the first that is not negated yet
        ("I know who he is, and they have gone.", "I know who he is, and they have not gone."),
        ("It is.", None),
        ("Is it?", None),  # in the middle of a sentence alone
        ("The owl saw it.", None),
        ("The island washed ashore.", None),  # "is" and "was" within words
        ("It is not.", None),
    ],
)
def test_negate(text, changed):
    assert negate(text) == changed


class TestSubjectObject:
    @pytest.fixture
    def pairs(self):
        return subject_object(NOUNS, 200, np.random.default_rng(0))

    def test_changed_sentences_are_the_originals_with_nouns_swapped(self, pairs):
        assert len(pairs.original) == len(pairs.changed) == len(pairs.group) == 200
        for original, changed in zip(pairs.original, pairs.changed, strict=True):
            first, verb, second = re.fullmatch(r"The (\w+) (\w+) the (\w+)\.", original).groups()
            assert changed == f"The {second} {verb} the {first}."
            assert verb in VERBS

    def test_classes_of_nouns_are_disjoint_and_together_all(self, pairs):
        subjects = {text.split()[1] for text in pairs.original}
        objects = {text.split()[-1].strip(".") for text in pairs.original}
        assert not subjects & objects
        assert subjects | objects == set(NOUNS)
        assert {len(subjects), len(objects)} == {4, 5}

    def test_a_group_is_a_pair_of_nouns(self, pairs):
        nouns = [(text.split()[1], text.split()[-1]) for text in pairs.original]
        assert len(set(nouns)) == len(set(pairs.group)) == len(set(zip(nouns, pairs.group, strict=True)))
        assert len(set(nouns)) > 10

    def test_is_fixed_by_the_seed(self, pairs):
        assert subject_object(NOUNS, 200, np.random.default_rng(0)) == pairs
        assert subject_object(NOUNS, 200, np.random.default_rng(1)) != pairs


class TestNeighbouringWords:
    @pytest.fixture
    def pairs(self):
        return neighbouring_words(ADJECTIVES, NOUNS, 200, np.random.default_rng(0))

    def test_changed_sentences_are_the_originals_with_adjectives_swapped(self, pairs):
        assert len(pairs.original) == len(pairs.changed) == len(pairs.group) == 200
        for original, changed in zip(pairs.original, pairs.changed, strict=True):
            one, two, noun, verb = re.fullmatch(r"The (\w+) (\w+) (\w+) (\w+) them\.", original).groups()
            assert changed == f"The {two} {one} {noun} {verb} them."
            assert noun in NOUNS
            assert verb in VERBS

    def test_classes_of_adjectives_are_disjoint_and_together_all(self, pairs):
        first, second = ({text.split()[place] for text in pairs.original} for place in (1, 2))
        assert not first & second
        assert first | second == set(ADJECTIVES)

    def test_a_group_is_a_pair_of_adjectives(self, pairs):
        both = [tuple(text.split()[1:3]) for text in pairs.original]
        assert len(set(both)) == len(set(pairs.group)) == len(set(zip(both, pairs.group, strict=True))) == 16


class TestNegation:
    @pytest.fixture
    def pairs(self):
        return negation(NOUNS, 300, np.random.default_rng(0))

    def test_not_stands_in_an_adverbs_place(self, pairs):
        assert len(pairs.original) == len(pairs.changed) == len(pairs.group) == 300
        adverbs = set()
        for original, changed in zip(pairs.original, pairs.changed, strict=True):
            match = re.fullmatch(r"The (\w+) who (\w+) them was (\w+) the (\w+)\.", original)
            one, verb, adverb, two = match.groups()
            assert changed == f"The {one} who {verb} them was not the {two}."
            assert one != two
            assert {one, two} <= set(NOUNS)
            adverbs.add(adverb)
        assert adverbs == set(ADVERBS)
        assert not adverbs & {"not", "never"}

    def test_a_group_is_a_pair_of_nouns(self, pairs):
        nouns = [(text.split()[1], text.split()[-1]) for text in pairs.original]
        assert len(set(nouns)) == len(set(pairs.group)) == len(set(zip(nouns, pairs.group, strict=True)))
