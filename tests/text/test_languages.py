"""Units from word lists: by hand on small ones, and what the packaged ones do for sentences of many languages.

``sentences.tsv`` holds an ordinary sentence in each of them, written for this test; some have no list.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lexivert.controller.controller import Controller
from lexivert.text.languages import (
    LISTED_SHARE,
    Mixture,
    expected_usage,
    forms,
    learn_byte_strings,
    listed_units,
    merge,
    shares,
)
from lexivert.text.lexicon import COUNTED_KINDS, EOS, RESERVED, Lexicon
from lexivert.text.segmentation import Segmenter
from lexivert.text.vocabulary import Unit, assemble, build_lexicon
from sections import repository_params, section

SENTENCES = dict(
    line.split("\t") for line in (Path(__file__).parent / "sentences.tsv").read_text(encoding="utf-8").splitlines()
)
BY_CHARACTERS = {"zh", "ja", "ko"}
UNLISTED = {"be", "et", "eu", "ga", "sq"}
"""Languages without a list, and with letters or endings of their own."""


def test_the_first_language_has_half_of_the_mixture():
    assert shares(0) == []
    assert shares(1) == [1.0]
    assert shares(3) == [0.5, 0.25, 0.25]
    mixture = Mixture.of({"en": {"the": 0.3, "a": 0.1, "00": 0.6}, "de": {"der": 0.2, "a": 0.2}})
    assert mixture.words == pytest.approx({"a": 0.125 + 0.25, "the": 0.375, "der": 0.25})
    assert list(mixture.words) == ["a", "the", "der"]
    assert mixture.frequent == {"a", "the", "der"}


def test_frequent_characters_become_one_string_and_rare_ones_share_a_beginning():
    """E4 B8 begins all three; only the first is frequent enough to be written out."""
    characters = {"中": 1 - 1.5e-6, "丁": 0.75e-6, "丂": 0.75e-6}
    assert [string.hex() for string in learn_byte_strings(characters)] == ["e4b8", "e4b8ad"]
    assert learn_byte_strings({"é": 0.9, "b": 0.1}) == ["é".encode()]
    assert learn_byte_strings({}) == []


def test_merging_goes_from_left_to_right():
    assert merge([b"a", b"a", b"a", b"b"], (b"a", b"a")) == [b"aa", b"a", b"b"]
    assert merge([b"a"], (b"a", b"b")) == [b"a"]


@pytest.mark.parametrize(
    ("character", "expected"),
    [
        ("é", ["é", "##é"]),
        ("ж", ["ж", "##ж"]),
        ("한", ["한", "##한"]),
        ("字", ["字"]),
        ("。", ["。"]),
        ("ि", ["##ि"]),
    ],
)
def test_letters_are_written_at_a_beginning_and_inside(character, expected):
    assert forms(character) == expected


def test_known_words_are_passed_over_and_numbers_bound_what_is_added():
    mixture = Mixture.of(
        {"en": {"and": 0.5, "dog": 0.4}, "ru": {"и": 0.5, "собака": 0.3, "собаки": 0.2}, "zh": {"狗": 1}}
    )
    units = listed_units(mixture, 2, 1000, {"and", "狗"})
    assert units.words == ["dog", "и"]
    assert {"##с", "с", "##к", "。"} <= set(units.pieces)
    assert not {"狗", "и", "and"} & set(units.pieces)
    assert listed_units(mixture, 0, 0, set()).words == listed_units(mixture, 0, 0, set()).pieces == []
    assert len(listed_units(mixture, 0, 100, set()).pieces) <= 100


def lexicon_of(*units: Unit) -> Lexicon:
    return assemble(units)


def test_byte_strings_write_characters_in_fewer_units():
    segmenter = Segmenter(
        lexicon_of(Unit("<0xE4B8>", "byte", 0), Unit("<0xF09F98>", "byte", 0), Unit("red", "word", 1))
    )
    for text, surfaces in {
        "中": ["<0xE4B8>", "<0xAD>"],
        "red 😀": ["red", "<0xF09F98>", "<0x80>"],
        "丁中": ["<0xE4B8>", "<0x81>", "<0xE4B8>", "<0xAD>"],
        "ä": ["<0xC3>", "<0xA4>"],
    }.items():
        units = segmenter.segment(text)
        assert (segmenter.surface(units), segmenter.join(units)) == (surfaces, text)


def test_any_sequence_with_byte_strings_is_text():
    """Bytes that are no character are written as U+FFFD, a case control waits for the next unit that has case."""
    lexicon = lexicon_of(Unit("<0xE4B8>", "byte", 0), Unit("red", "word", 1))
    begun, red = lexicon.id_of["<0xE4B8>"], lexicon.id_of["red"]
    segmenter = Segmenter(lexicon)
    assert segmenter.join([begun]) == "\ufffd"
    assert segmenter.join([lexicon.id_of["<cap>"], begun, lexicon.id_of["<0xAD>"], red]) == "中red"
    assert segmenter.join([begun, EOS, red]) == "\ufffd"


def test_expected_usage_is_a_share_of_all():
    lexicon = lexicon_of(Unit("dog", "word", 1), Unit("и", "foreign", 0))
    mixture = Mixture.of({"en": {"dog": 1.0}, "ru": {"и": 1.0}})
    usage = expected_usage(lexicon, mixture, 960_000)
    assert usage.sum() == usage[[lexicon.id_of["dog"], lexicon.id_of["и"]]].sum() == round(960_000 / 0.96 * 0.04)
    assert usage[lexicon.id_of["dog"]] == usage[lexicon.id_of["и"]]
    assert LISTED_SHARE == 0.04


ENGLISH = [
    "The government decided yesterday to spend more money on schools and hospitals.",
    "A spokeswoman for the ministry said in London that the old buildings need repairs.",
]


@pytest.fixture(scope="module")
def built(word_lists):
    """The packaged lists, at the sizes of ``params.yaml``, added to rows of English with its 20,000 first words."""
    most = dict.fromkeys(COUNTED_KINDS, 20_000)
    params = section("vocab", min_count=dict.fromkeys(COUNTED_KINDS, 1), max_units=most, ngram_max=2, pieces=2000)
    words = [f"{word}." for word in islice(word_lists["en"], 20_000)]
    return build_lexicon(ENGLISH * 3000 + words, params, word_lists)[0]


def test_ordinary_sentences_of_forty_words_take_at_most_110_units(built):
    segmenter = Segmenter(built)
    counts = {}
    for language, text in SENTENCES.items():
        units = segmenter.segment(text)
        assert segmenter.join(units) == text
        length = len(text) if language in BY_CHARACTERS else len(text.split())
        counts[language] = 40 * len(units) / length
    assert {language: n for language, n in counts.items() if n > (125 if language in UNLISTED else 110)} == {}


def test_case_and_marks_of_other_languages_are_lossless(built):
    segmenter = Segmenter(built)
    for text in SENTENCES.values():
        for variant in (text.upper(), text.lower(), text.title(), text.swapcase(), f"„{text}“ – «{text}» ({text})"):
            assert segmenter.join(segmenter.segment(variant)) == " ".join(variant.split())


def test_listed_units_are_of_their_kinds_and_within_bounds(built):
    params = repository_params().vocab
    kinds = np.array(built.kinds)
    assert 0 < (kinds == "foreign").sum() <= params.language_words
    strings = [s for s, kind in zip(built.surfaces, built.kinds, strict=True) if kind == "byte"][len(RESERVED) - 6 :]
    assert 100 < len(strings) < 1000
    assert all(built.bytes_of[built.id_of[s]] for s in strings)
    assert {"foreign", "piece", "byte"} <= set(built.kinds)


def test_the_prior_expects_other_languages(built):
    prior = built.log_prior()
    unseen = prior[built.usage == 0].max()
    for word in ("und", "и", "και", "的"):
        assert prior[built.id_of[word]] > unseen + 0.5


def test_the_same_lists_give_the_same_units(word_lists):
    lists = {language: word_lists[language] for language in ("en", "is")}
    first = listed_units(Mixture.of(lists), 500, 3000, {"the"})
    assert listed_units(Mixture.of(lists), 500, 3000, {"the"}) == first


@pytest.fixture(scope="module")
def coded(built, make_world):
    """Random codes for that lexicon, 1024 wide."""
    return make_world(len(built), 1024, positions=64)


@pytest.mark.parametrize("language", ["de", "ru", "el", "ko", "zh"])
def test_sentences_of_several_scripts_are_read_back_from_vectors(built, coded, language):
    """Ten words, or thirty signs, of each."""
    text = SENTENCES[language]
    text = text[:30] if language in BY_CHARACTERS else " ".join(text.split()[:10])
    segmenter = Segmenter(built)
    units = segmenter.segment(text)
    assert {"piece", "foreign"} & {built.kinds[unit] for unit in units}
    found = Controller(coded.parts).decode(coded.observed(coded.vectors([units])))
    assert segmenter.join(found.units[0]) == text
    assert found.verified.tolist() == [True]
