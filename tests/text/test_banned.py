from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.text.banned import Banned
from lexivert.text.detokenizer import Detokenizer
from lexivert.text.lexicon import CAP, EOS, FIRST_BYTE, JOIN, RESERVED, SPACE, UPPER, WIKITEXT, Lexicon
from lexivert.text.segmentation import Segmenter

WORDS = [
    "The",
    "silent",
    "owl",
    "Owl",
    "sat",
    "by",
    "the",
    "river",
    "growl",
    "riverside",
    "barn",
    "well-known",
    "I",
    "do",
    "n't",
    "know",
    "-",
    ",",
    ".",
    "in",
    "Tl",
]
PIECES = ["##owl", "##o", "##wl", "##in", "##git", "##s"]
PHRASES = ["the owl", "by the river"]


def lexicon():
    surfaces = (*RESERVED, *WORDS, *PIECES, *PHRASES)
    kinds = ("control",) * 6 + ("byte",) * 256 + ("word",) * len(WORDS) + ("piece",) * 6 + ("ngram",) * 2
    counts = np.ones(len(surfaces), dtype=np.int64)
    return Lexicon(surfaces, kinds, counts, counts)


LEXICON = lexicon()
SEGMENTER = Segmenter(LEXICON)


def banned(*texts):
    return Banned(texts, LEXICON, SEGMENTER.detokenizer)


def units(*surfaces):
    return [unit if isinstance(unit, int) else LEXICON.id_of[unit] for unit in surfaces]


def spelled(text):
    return [FIRST_BYTE + byte for byte in text.encode()]


@pytest.mark.parametrize(
    ("entry", "text", "positions"),
    [
        ("owl", units("The", "silent", "owl", "sat"), [(2,)]),
        ("OWL", units("The", CAP, "owl", UPPER, "owl"), [(2,), (4,)]),
        ("owl", units("the owl", "sat"), [(0,)]),
        ("owl", units("silent", "##owl", "sat"), [(1,)]),
        ("owl", units("silent", JOIN, "owl"), [(2,)]),
        ("owl", units("silent", *spelled("owl")), [(1, 2, 3)]),
        ("owl", units("The", "##o", "##wl"), [(1, 2)]),
        ("owl", units("The", "barn", JOIN, "-", JOIN, "owl"), [(5,)]),
        ("owl", units(*spelled("an owl's"), "sat"), [tuple(range(8))]),
        ("owl", units("growl", "##owl", "##s"), []),  # growlowls: "##s" is no word
        ("owl", units("growl", "sat"), []),
        ("in", units("Tl", "##in", "##git"), []),  # Tlingit
        ("in", units("in", "the", "river"), [(0,)]),
        ("by the river", units("by the river"), [(0,)]),
        ("by the river", units("sat", "by", "the", "river", "."), [(1, 2, 3)]),
        ("by  The\nRIVER", units("by", JOIN, "the", "river"), [(0, 2, 3)]),
        ("by the river", units("by", "the", "riverside"), []),
        ("by the river", units("by", "the", ",", "river"), []),
        ("bythe", units("by", "the", "river"), []),
        ("don't", units("I", "do", "n't", "know"), [(1, 2)]),
        ("don’t", units("I", "do", "n't"), [(1, 2)]),
        ("well-known", units(WIKITEXT, "the", "well-known", "owl"), [(2,)]),
        ("well known", units("well-known"), []),
        ("known", units(WIKITEXT, "well-known"), [(1,)]),
        (".", units("sat", "."), [(1,)]),
        ("straße", units(*spelled("STRASSE")), [tuple(range(7))]),
        ("猫", units(*spelled("黑猫白")), [tuple(range(9))]),
        ("o\u00adwl", units("owl"), [(0,)]),
        ("owl", units(*spelled("o\u200bwl")), [tuple(range(6))]),
    ],
)
def test_where_words_and_phrases_occur(entry, text, positions):
    assert [found.positions for found in banned(" ".join(entry.split())).find(text)] == positions


def test_units_that_are_banned_by_themselves_and_those_that_look_like_it():
    own = banned("owl")
    assert [LEXICON.surfaces[unit] for unit in own.units] == ["owl", "Owl", "##owl", "the owl"]
    assert {LEXICON.surfaces[unit] for unit in own.resembling} == {"owl", "Owl", "##owl", "the owl", "growl"}
    assert [LEXICON.surfaces[unit] for unit in banned("by the").units] == ["by the river"]
    assert [LEXICON.surfaces[unit] for unit in banned("I").resembling] == ["I"]  # too short to be part of a word


@given(st.lists(st.integers(1, len(LEXICON) - 1), max_size=12))
def test_stretches_are_the_text(text):
    stretches = banned().stretches(text)
    written = "".join(" " * own.spaced + own.text for own in stretches)
    if text[:1] != [WIKITEXT]:
        assert written == SEGMENTER.join(text)
    positions = [position for own in stretches for position in own.positions]
    assert positions == [place for place, unit in enumerate(text) if unit >= 6]


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        (units("The", *spelled("ow"), "sat"), [(0,), (1, 2), (3,)]),
        (units(*spelled("o"), CAP, *spelled("w")), [(0, 2)]),
        (units(*spelled("o"), JOIN, *spelled("w")), [(0,), (2,)]),
        (units(*spelled("o"), SPACE, CAP, *spelled("w")), [(0,), (3,)]),
        (units(WIKITEXT, "owl", JOIN, CAP, "##s", CAP), [(1,), (4,)]),
        ([*units("owl"), EOS, *units("sat")], [(0,)]),
        ([], []),
    ],
)
def test_positions_of_stretches(text, positions):
    assert [own.positions for own in banned().stretches(text)] == positions


def test_a_text_is_lined_up_once(monkeypatch):
    """Once a unit, the time for a long text grows with the square of its length."""
    lines, line = [], Detokenizer._line
    monkeypatch.setattr(Detokenizer, "_line", lambda *given: lines.append(given) or line(*given))
    assert len(banned().stretches(units(*["owl", "sat", ","] * 60))) == 180
    assert len(lines) == 1


@given(
    st.lists(st.sampled_from(units("owl", "##owl", "the owl", "sat", CAP, JOIN, ",", *spelled("owl "))), max_size=9)
)
def test_no_word_of_the_text_is_overlooked(text):
    words = "".join(sign if sign.isalnum() else " " for sign in SEGMENTER.join(text).casefold()).split()
    assert bool(banned("owl").find(text)) >= ("owl" in words)
