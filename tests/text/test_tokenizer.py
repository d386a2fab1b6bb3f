import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.text.tokenizer import normalize, split_chunk

TRICKY = st.lists(
    st.sampled_from(
        [
            *"aéZß'’\"-–.,@_1٣ \n\t\u00a0\u0301\u200d日のあ한👍🏽🇫🇷<#",
            "n't",
            "'ll",
            "can't",
            "U.S.",
            "http://a.b/c",
            "@-@",
            "..",
            "3.14",
        ]
    ),
    max_size=30,
).map("".join)


def surfaces(text):
    return [surface for chunk in normalize(text).split() for surface in split_chunk(chunk)]


def test_normalize_composes_and_collapses_white_space():
    assert normalize("  cafe\u0301\u00a0au \t\n lait ") == "caf\u00e9 au lait"
    assert normalize(" \n") == ""


MARKS = st.text(st.sampled_from("\u0301\u0316\u0327\u0345\u0f73\u093f\u0344\u20dd"), min_size=25, max_size=90)


@given(MARKS, st.sampled_from(["", "a", "é", "ᾂ"]))
def test_runs_of_marks_are_composed_as_unicode_has_it(marks, before):
    text = f"{before}{marks} b{marks}"
    assert normalize(text) == unicodedata.normalize("NFC", text)


def test_a_hundred_thousand_marks_take_no_time():
    started = time.process_time()
    assert len(normalize("a" + "\u0301\u0316" * 50_000)) == 100_000
    assert time.process_time() - started < 5.0


def test_normalize_rejects_lone_surrogates():
    with pytest.raises(ValueError, match=r"lone surrogate U\+D83D at character 2"):
        normalize("ab\ud83d")


@given(st.one_of(st.text(), TRICKY))
def test_plain_tokens_put_together_give_the_normalised_text(text):
    chunks = normalize(text).split()
    assert ["".join(split_chunk(chunk)) for chunk in chunks] == chunks
    assert all(surface and not any(map(str.isspace, surface)) for surface in surfaces(text))
    assert normalize(normalize(text)) == normalize(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't", ["do", "n't"]),
        ("DON'T", ["DO", "N'T"]),
        ("didn’t", ["did", "n’t"]),
        ("can't shan't won't", ["can", "'t", "shan", "'t", "won", "'t"]),
        ("he'd've", ["he", "'d", "'ve"]),
        ("o'clock d'Artagnan's", ["o'clock", "d'Artagnan", "'s"]),
        ("the dogs' 'tis", ["the", "dogs", "'", "'", "tis"]),
        ("well-known--so...", ["well-known", "--", "so", "..."]),
        ("U.S. e.g., p.m.", ["U.S.", "e.g.", ",", "p.m."]),
        ("Mr. H. Smith and I.", ["Mr.", "H.", "Smith", "and", "I", "."]),
        ("the end.", ["the", "end", "."]),
        ("1,234 3.14, 1860s. 5th", ["1,234", "3.14", ",", "1860s", ".", "5th"]),
        ('("Yes?")', ["(", '"', "Yes", "?", '"', ")"]),
        ("see http://a.b/c?d=e.", ["see", "http://a.b/c?d=e", "."]),
        ("a.b@c.org example.com camelCase", ["a.b@c.org", "example.com", "camelCase"]),
        ("日本語 👩‍👩‍👧👍🏽", ["日", "本", "語", "👩‍👩‍👧", "👍🏽"]),
        ("_so_ !!", ["_", "so", "_", "!!"]),
    ],
)
def test_plain_tokens(text, expected):
    assert surfaces(text) == expected


@pytest.mark.parametrize("text", ["A." * 20_000 + "B", "a+" * 20_000, "a's" * 10_000, "'s" * 20_000, "a@" * 20_000])
def test_long_runs_take_linear_time(text):
    start = time.process_time()
    assert "".join(split_chunk(text)) == text
    assert time.process_time() - start < 5
