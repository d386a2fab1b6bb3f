from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.data.wordnet import Synset
from lexivert.evaluation import minimal_pairs
from lexivert.evaluation.sentence_space import (
    SPACES,
    Corpus,
    SpaceEncoder,
    _authors,
    _by_training,
    _categories,
    _changed,
    _definitions,
    _draw,
    _fitting,
    _order_awareness,
    by_chance,
    words_of,
)
from lexivert.text.lexicon import RESERVED, Lexicon
from lexivert.text.tokenizer import normalize

TEXTS = ["The silent owl watched the mill.", "Emma  asked \n a noble captain. ", "Rose"]

FULL, LONG = " ".join(["rose"] * 96), " ".join(["rose"] * 97)
"""The longest text that a vector of the tiny model is made for, and one with a unit more."""


def entry(name, category="noun.animal", lemmas=(), definition="a thing", examples=()):
    return Synset(name, category, tuple(lemmas), definition, tuple(examples))


@pytest.fixture
def spaces(tiny_model):
    return SpaceEncoder(tiny_model.encoder)


class TestSpaceEncoder:
    def test_parts_of_the_encoders_own_vectors(self, tiny_model):
        spaces = SpaceEncoder(tiny_model.encoder).encode(TEXTS, "")
        assert tuple(spaces) == SPACES
        full = torch.from_numpy(tiny_model.encoder.encode(TEXTS))
        torch.testing.assert_close(spaces["full"], full, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(spaces["prefix"], F.normalize(full[:, :32], dim=-1), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(spaces["order"], F.normalize(full[:, 32:], dim=-1), atol=1e-5, rtol=1e-4)
        features = torch.from_numpy(tiny_model.encoder.backbone.encode(TEXTS))
        torch.testing.assert_close(spaces["backbone"], F.normalize(features, dim=-1), atol=1e-5, rtol=1e-4)

    def test_full_cosines_weigh_those_of_the_parts(self, tiny_model):
        spaces = SpaceEncoder(tiny_model.encoder).encode(TEXTS, "")
        share = tiny_model.encoder.config.code.semantic_share
        cosines = {name: rows @ rows.T for name, rows in spaces.items()}
        expected = share * cosines["prefix"] + (1 - share) * cosines["order"]
        torch.testing.assert_close(cosines["full"], expected, atol=1e-5, rtol=1e-4)

    def test_no_text_is_segmented_or_embedded_twice(self, tiny_model, monkeypatch):
        seen = {"encode": [], "segment": []}
        encoder = tiny_model.encoder
        embed, segment = encoder.backbone.encode, encoder.units_of

        def embedded(texts, **kwargs):
            seen["encode"] += texts
            return embed(texts, **kwargs)

        def segmented(text):
            seen["segment"].append(text)
            return segment(text)

        monkeypatch.setattr(encoder.backbone, "encode", embedded)
        monkeypatch.setattr(encoder, "units_of", segmented)
        spaces = SpaceEncoder(encoder)
        assert spaces.fits("Emma asked a noble captain.")
        first = spaces.encode(TEXTS, "")
        again = spaces.encode([TEXTS[2], TEXTS[1], TEXTS[2]], "")
        assert sorted(seen["encode"]) == sorted(seen["segment"]) == sorted(map(normalize, TEXTS))
        for space in SPACES:
            assert torch.equal(again[space], first[space][[2, 1, 2]])


class TestWordsOf:
    @staticmethod
    def lexicon(*rows):
        surfaces, kinds, usage = zip(*rows, strict=True)
        counts = np.array([0] * len(RESERVED) + list(usage), dtype=np.int64)
        return Lexicon((*RESERVED, *surfaces), ("byte",) * len(RESERVED) + kinds, counts, counts)

    def test_most_used_words_of_the_class_first(self):
        lexicon = self.lexicon(
            ("owl", "word", 5), ("wolf", "word", 9), ("stone", "word", 99), ("eagle", "word", 5),
            ("bear", "word", 50), ("Lion", "cased", 70), ("sea lion", "ngram", 60), ("x-ray", "word", 80),
            ("crane", "word", 70),
        )  # fmt: skip
        entries = [
            entry("n1", lemmas=["owl", "eagle", "wolf", "Lion", "sea lion", "x-ray", "newt"]),
            entry("n2", "noun.object", ["stone"]),
            entry("n3", lemmas=["bear"]),
            entry("v1", "verb.stative", ["bear"]),  # one of two senses is not most
            entry("n4", "noun.person", ["crane"]),
            entry("n5", lemmas=["crane"]),
            entry("v2", "verb.motion", ["crane"]),  # two of three are
        ]
        classes = ("noun.animal", "noun.person")
        assert words_of(entries, lexicon, classes, 10) == ["crane", "wolf", "owl", "eagle"]
        assert words_of(entries, lexicon, classes, 2) == ["crane", "wolf"]
        assert words_of(entries, lexicon, ("noun.object",), 10) == ["stone"]
        assert words_of(entries, lexicon, ("adj.all",), 10) == []


class TestChoosing:
    def test_synsets_of_the_training_split_are_told_from_all_others(self):
        entries = [entry("n1"), entry("n2"), entry("n3"), entry("n4")]
        documents = ["wordnet/n1", "wordnet/n2", "gutenberg/n3", "wordnet/n4"]
        corpus = Corpus(documents, ["train", "test", "train", "valid"], ["text"] * 4)
        seen, unseen = _by_training(entries, corpus)
        assert [each.name for each in seen] == ["n1"]
        assert [each.name for each in unseen] == ["n2", "n3", "n4"]

    def test_draws_are_distinct_and_in_order(self, spaces):
        entries = [entry(f"n{place:02d}") for place in range(50)]
        drawn = [each.name for each in _draw(spaces, entries, 20, np.random.default_rng(0))]
        assert drawn == sorted(set(drawn))
        assert len(drawn) == 20
        assert _draw(spaces, entries[:3], 20, np.random.default_rng(0)) == entries[:3]

    def test_synsets_too_long_for_a_vector_are_not_drawn(self, spaces):
        entries = [
            entry("n1", definition=LONG),
            entry("n2", examples=[LONG]),
            entry("n3", examples=["an owl", LONG]),  # only the first example is read
            entry("n4", definition=FULL),
        ]
        drawn = _draw(spaces, entries, 9, np.random.default_rng(0))
        assert [each.name for each in drawn] == ["n3", "n4"]

    def test_only_texts_that_can_be_changed_count(self, spaces):
        texts = ["It is late.", "The owl saw it.", "He was old.", "She can swim."]
        pairs = _changed(spaces, texts, 2, minimal_pairs.negate)
        assert pairs.original == ["It is late.", "He was old."]
        assert pairs.changed == ["It is not late.", "He was not old."]
        assert pairs.group == [0, 1]
        assert _changed(spaces, texts, 9, minimal_pairs.negate).group == [0, 1, 2]

    def test_texts_that_become_too_long_for_a_vector_do_not_count(self, spaces):
        texts = [FULL, "It is late."]
        pairs = _changed(spaces, texts, 9, lambda text: f"not {text}")
        assert (pairs.original, pairs.changed, pairs.group) == (["It is late."], ["not It is late."], [0])
        made = minimal_pairs.Pairs(["one", LONG, "two", FULL], ["one", "three", LONG, FULL], [4, 5, 6, 7])
        assert _fitting(spaces, made) == minimal_pairs.Pairs(["one", FULL], ["one", FULL], [4, 7])


@pytest.fixture
def settings(tiny_params):
    """Sizes fit for a handful of sentences."""
    section = tiny_params.sentence_space.model_copy(
        update={"queries": 12, "definitions": 60, "sentences_per_book": 12, "pairs": 40}
    )
    return tiny_params.model_copy(update={"sentence_space": section})


NOUNS = [
    "owl", "mill", "rose", "river", "sailor", "captain", "stone", "letter", "piano", "garden", "winter", "bridge",
]  # fmt: skip


class TestDefinitions:
    def test_an_example_that_is_its_definition_comes_first(self, spaces, settings):
        told = [entry(f"n{noun}", definition=f"the old {noun}", examples=[f"the old {noun}"]) for noun in NOUNS]
        others = [entry(f"m{noun}", definition=f"a green {noun} at night") for noun in NOUNS]
        report = _definitions(spaces, [*others, *told], settings, np.random.default_rng(0))
        assert (report["queries"], report["definitions"]) == (12, 24)
        for name in SPACES:
            assert report[name]["mrr"] == report[name]["precision_at_1"] == pytest.approx(1.0)

    def test_an_example_that_is_another_ones_definition_comes_second_at_best(self, spaces, settings):
        """Right and wrong definition change places, the first example looks for the second definition."""
        one, two = "the old owl", "a green river at night"
        told = [
            entry("n1", definition=one, examples=[two]),
            entry("n2", definition=two, examples=[one]),
        ]
        report = _definitions(spaces, told, settings, np.random.default_rng(0))
        for name in SPACES:
            assert report[name]["mrr"] == pytest.approx(1 / 2)
            assert report[name]["precision_at_1"] == 0.0

    def test_there_are_no_more_queries_than_asked_for(self, spaces, settings):
        told = [entry(f"n{a}{b}", definition=f"the {a} {b}", examples=[f"the {a} {b}"]) for a in NOUNS for b in NOUNS]
        report = _definitions(spaces, told, settings, np.random.default_rng(0))
        assert (report["queries"], report["definitions"]) == (12, 72)


class TestCategories:
    OLD = tuple(entry(f"n{noun}", "noun.animal", definition="the old owl") for noun in NOUNS)
    GREEN = tuple(entry(f"m{noun}", "noun.plant", definition="a green rose by the river") for noun in NOUNS[:10])

    def test_the_class_of_the_nearest_training_definitions(self, spaces, settings):
        unseen = [replace(self.OLD[0], name="u1"), replace(self.GREEN[0], name="u2"), replace(self.OLD[1], name="u3")]
        report = _categories(spaces, [*self.OLD, *self.GREEN], unseen, settings, np.random.default_rng(0))
        assert report["classes"] == 2
        assert report["most_frequent"] == pytest.approx(2 / 3)  # twelve animals, ten plants
        assert [report[name]["accuracy"] for name in SPACES] == [1.0] * 4
        wrong = [replace(each, category="noun.plant") for each in unseen]
        report = _categories(spaces, [*self.OLD, *self.GREEN], wrong, settings, np.random.default_rng(0))
        assert [report[name]["accuracy"] for name in SPACES] == [pytest.approx(1 / 3)] * 4

    def test_without_a_dictionary_in_training_others_that_were_not_drawn_teach(self, spaces, settings):
        each_its_own = [replace(each, category=each.name) for each in (*self.OLD, *self.GREEN)]
        report = _categories(spaces, [], each_its_own, settings, np.random.default_rng(0))
        assert report["classes"] == 22 - 12
        assert [report[name]["accuracy"] for name in SPACES] == [0.0] * 4


class TestAuthors:
    @staticmethod
    def corpus(*books):
        rows = [(name, text) for name, text, count in books for _ in range(count)]
        return Corpus([name for name, _ in rows], ["train"] * len(rows), [text for _, text in rows])

    def test_books_are_told_by_other_books_of_their_author(self, spaces, settings):
        corpus = self.corpus(
            ("gutenberg/austen-emma", "the old owl watched", 15),
            ("gutenberg/austen-sense", "the old owl watched", 15),
            ("gutenberg/blake-one", "a green rose at night by the river", 10),
            ("gutenberg/blake-two", "a green rose at night by the river", 10),
            ("gutenberg/carroll-alice", "the only book of its author", 15),  # nobody could tell
            ("gutenberg/milton-long", "word " * 31, 15),
            ("gutenberg/milton-short", "too few words", 15),
            ("wordnet/austen-word", "the old owl watched", 15),
        )
        report = _authors(spaces, corpus, settings, np.random.default_rng(0))
        assert (report["books"], report["authors"], report["sentences"]) == (4, 2, 12 + 12 + 10 + 10)
        assert report["chance"] == pytest.approx((24 * 12 / 32 + 20 * 10 / 34) / 44)
        assert [report[name]["accuracy"] for name in SPACES] == [1.0] * 4

    def test_a_book_says_nothing_about_itself(self, spaces, settings):
        """Each author's two books are unlike each other, but like one of the other author."""
        corpus = self.corpus(
            ("gutenberg/austen-emma", "the old owl watched", 12),
            ("gutenberg/blake-one", "the old owl watched", 12),
            ("gutenberg/austen-sense", "a green rose at night by the river", 12),
            ("gutenberg/blake-two", "a green rose at night by the river", 12),
        )
        report = _authors(spaces, corpus, settings, np.random.default_rng(0))
        assert [report[name]["accuracy"] for name in SPACES] == [0.0] * 4

    def test_chance_is_the_share_of_a_label_among_rows_of_other_groups(self):
        labels, groups = [*"aaabbb"], ["a-1", "a-1", "a-2", "b-1", "b-2", "b-2"]
        # First book: 1 of 4 others are a; second: 2 of 5; then 2 of 5, and 1 of 4.
        assert by_chance(labels, groups) == pytest.approx((2 * 1 / 4 + 2 / 5 + 2 / 5 + 2 * 1 / 4) / 6)

    def test_one_author_is_no_question(self, spaces, settings):
        corpus = self.corpus(
            ("gutenberg/austen-emma", "the old owl watched", 3),
            ("gutenberg/austen-sense", "a green rose by the river", 3),
            ("gutenberg/blake-poems", "a green rose by the river", 3),
        )
        report = _authors(spaces, corpus, settings, np.random.default_rng(0))
        assert report == {"books": 2, "authors": 1, "sentences": 6}


class TestOrderAwareness:
    @pytest.fixture
    def found(self, tiny_model, spaces, settings):
        """Half of the held-out texts have an auxiliary; nouns are those of the lexicon's most frequent words."""
        heldout = [f"The {a} watched the old {b}." for a in NOUNS for b in NOUNS[:2]]
        heldout += [f"The {a} was near the {b}." for a in NOUNS for b in NOUNS[:2]]
        corpus = Corpus(
            ["book"] * 50,
            ["test"] * 48 + ["train"] * 2,
            [*heldout, "A training text is here.", "Another one was here."],
        )
        words = [s for s, k in zip(*self.lexicon(tiny_model), strict=True) if k == "word" and s.isalpha()]
        entries = [entry("n1", "noun.animal", words[:20]), entry("a1", "adj.all", words[20:40])]
        report, rows = _order_awareness(spaces, entries, corpus, settings, np.random.default_rng(0))
        return report, rows

    @staticmethod
    def lexicon(model):
        lexicon = model.encoder.segmenter.lexicon
        return lexicon.surfaces, lexicon.kinds

    def test_every_change_is_tried_in_every_space(self, found):
        report, rows = found
        assert (report["nouns"], report["adjectives"]) == (20, 20)
        changes = [
            "neighbours_swapped_natural", "negation_natural", "subject_and_object_swapped", "negation",
            "neighbours_swapped",
        ]  # fmt: skip
        assert list(zip(rows["change"], rows["space"], strict=True)) == [
            (c, space) for c in changes for space in SPACES
        ]
        assert report["negation_natural"]["pairs"] == 24  # those of the test split with an auxiliary
        assert [report[change]["pairs"] for change in changes if change != "negation_natural"] == [40] * 4
        for change, space, cosine, probe in rows.itertuples(index=False):
            figures = report[change][space]
            assert figures["cosine"] == cosine == pytest.approx(1.0 - figures["cosine_drop"])
            assert figures["probe_accuracy"] == probe

    def test_the_order_part_tells_what_it_is_made_for(self, found):
        """Other positions are other codes: a sentence with two words swapped is a long way off."""
        report = found[0]["subject_and_object_swapped"]
        assert report["order"]["cosine"] < 0.8
        assert report["order"]["probe_accuracy"] > 0.8

    def test_cosines_are_those_of_original_and_changed_sentences(self, found, tiny_model):
        share = tiny_model.encoder.config.code.semantic_share
        for change, figures in found[0].items():
            if change not in {"nouns", "adjectives"}:
                cosines = {space: figures[space]["cosine"] for space in SPACES}
                expected = share * cosines["prefix"] + (1 - share) * cosines["order"]
                assert cosines["full"] == pytest.approx(expected, abs=1e-5)
                assert cosines["backbone"] == pytest.approx(cosines["prefix"], abs=1e-5)

    def test_too_few_words_leave_the_controlled_sentences_out(self, spaces, settings):
        corpus = Corpus(["book"] * 2, ["test"] * 2, ["The owl was near.", "The mill was far."])
        report, rows = _order_awareness(spaces, [], corpus, settings, np.random.default_rng(0))
        assert set(report) == {"nouns", "adjectives", "neighbours_swapped_natural", "negation_natural"}
        assert (report["nouns"], report["adjectives"]) == (0, 0)
        assert len(rows) == 8
