from __future__ import annotations

import tracemalloc
import unicodedata
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.text.lexicon import CAP, CONTROL, EOS, FIRST_BYTE, JOIN, RESERVED, SPACE, UPPER, WIKITEXT, Lexicon
from lexivert.text.phrases import PhraseTrie
from lexivert.text.segmentation import Segmenter
from lexivert.text.tokenizer import normalize


def split(words: str) -> list[str]:
    return words.split()


def lexicon(*surfaces: str) -> Lexicon:
    kinds = ("control",) * len(CONTROL) + ("byte",) * 256 + ("word",) * len(surfaces)
    zeros = np.zeros(len(kinds), dtype=np.int64)
    return Lexicon(RESERVED + surfaces, kinds, zeros, zeros)


WORDS = (
    *split("the first time of in a new york The red tipped well known do n't can 't 's 'll"),
    *split("didn boys glad said"),
    *split(", . : ; ! ? \" ' - -- – — ( ) [ ] / _ ` & % $ “ ” ’ … 1 2 17 34 234 000 5 # @ *"),
    *split("Hom hom ##arus ##us ##s ##e ##, 字"),
    *("the first", "the first time", "of the", "in the first", "New York", "do n't", "the red"),
    *("well-known", "U.S."),
)
FULL = Segmenter(lexicon(*WORDS))
BARE = Segmenter(lexicon())


def surfaces(text: str) -> list[str]:
    return FULL.surface(FULL.segment(text))


# --- hand-worked ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in the first time", ["in the first", "time"]),
        ("of the red", ["of the", "red"]),
        ("the first of the red", ["the first", "of the", "red"]),
        ("The first", ["The", "first"]),  # as many units as <cap> + phrase, and plainer
        ("The first time", ["<cap>", "the first time"]),
        ("OF THE time", ["<upper>", "of the", "time"]),
        ("New York", ["New York"]),
        ("I don't", ["<0x49>", "do n't"]),
        ("red-tipped", ["red", "-", "tipped"]),
        ("well-known", ["well-known"]),
        ("Homarus", ["Hom", "##arus"]),
        ("homarus", ["hom", "##arus"]),
        ("REDs", ["<upper>", "red", "##s"]),
        ("redNew", ["red", "<join>", "<cap>", "new"]),
        ("1734", ["17", "34"]),
        ("red (first).", ["red", "(", "first", ")", "."]),
        ("red( first", ["red", "<join>", "(", "<space>", "first"]),
        ("é", ["<0xC3>", "<0xA9>"]),
        ("é é", ["<0xC3>", "<0xA9>", "<space>", "<0xC3>", "<0xA9>"]),
        ("redé", ["red", "<0xC3>", "<0xA9>"]),
        ("the red @-@ tipped boys , said in 17 @,@ 234 .",
         ["<wikitext>", "the red", "-", "tipped", "boys", ",", "said", "in", "17", ",", "234", "."]),
        ("don 't the boys , the red .", ["<wikitext>", "do n't", "the", "boys", ",", "the red", "."]),
        ("", []),
        (" \t\n ", []),
    ],
)  # fmt: skip
def test_segments(text, expected):
    assert surfaces(text) == expected
    assert FULL.join(FULL.segment(text)) == normalize(text)


def test_end_is_never_emitted_and_ends_the_text():
    red, boys = FULL.segment("red boys")
    assert FULL.join([red, EOS, boys]) == "red"
    assert FULL.join([EOS, red]) == FULL.join([]) == ""


def test_plain_spelling_wins_a_tie():
    assert surfaces("red , boys") == ["red", "<space>", ",", "boys"]
    assert surfaces("red , boys , red")[0] == "<wikitext>"


def test_wikitext_that_breaks_its_convention_still_round_trips():
    text = "the 17-red , the red @-@ tipped , in the well-known , @-@ . it 's a redn't 'll"
    assert FULL.join(FULL.segment(text)) == text


def test_text_is_normalised():
    assert FULL.join(FULL.segment(" red\u00a0 e\u0301\n")) == "red é"


def test_lone_surrogates_are_rejected():
    with pytest.raises(ValueError, match="surrogate"):
        FULL.segment("red \ud800")


def test_continuation_pieces_in_text_are_not_taken_for_units():
    assert FULL.join(FULL.segment("##arus red ##s <cap> <0x41>")) == "##arus red ##s <cap> <0x41>"


# --- joining what no segmenter writes ---


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ([CAP, CAP, "red"], "Red"),
        ([CAP, UPPER, "red", "boys"], "RED boys"),
        ([JOIN, SPACE, "red", SPACE, JOIN, "boys", JOIN], "redboys"),
        (["red", WIKITEXT, "-", "boys", CAP], "red-boys"),
        ([WIKITEXT, WIKITEXT, "red", "-", "boys"], "red @-@ boys"),
        (["##arus"], "arus"),
        (["red", SPACE, "##arus"], "red arus"),
        ([FIRST_BYTE + 0xC3], "\ufffd"),
        ([FIRST_BYTE + 0xC3, JOIN, FIRST_BYTE + 0xA9], "\ufffd\ufffd"),
        ([CAP, FIRST_BYTE + 0xC3, CAP, FIRST_BYTE + 0xA9, "red"], "é red"),
        ([CAP, ",", "red"], ", red"),
        ([WIKITEXT, "n't", "red", "n't"], "n 't redn 't"),
    ],
)
def test_joins_any_units(units, text):
    assert FULL.join([FULL.lexicon.id_of.get(unit, unit) for unit in units]) == text


@given(st.lists(st.integers(0, len(FULL.lexicon) - 1), max_size=24))
def test_joining_never_fails(ids):
    text = FULL.join(ids)
    assert FULL.join(np.array(ids, dtype=np.int64)) == text
    assert FULL.join(FULL.segment(text)) == normalize(text)
    assert len(text) <= len(ids) * FULL.most_characters


@pytest.mark.parametrize("wrong", [-1, len(FULL.lexicon)])
def test_a_number_that_is_no_unit_is_named(wrong):
    with pytest.raises(ValueError, match=f"{wrong} is not a unit id"):
        FULL.join([300, wrong])


@pytest.mark.parametrize(("text", "units"), [("q", 5000), ("字", 5000), ("漢", 15000), ("#!", 10000)])
def test_a_word_without_end_takes_memory_in_proportion(text, units):
    """Ten kilobytes a character are plenty; a copy of all parts at each of them would be a hundred megabytes."""
    segmenter = Segmenter(FULL.lexicon)
    tracemalloc.start()
    try:
        ids = segmenter.segment(text * 5000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(ids) >= units
    assert segmenter.join(ids) == text * 5000
    assert peak < 5000 * len(text) * 10_000


def test_no_unit_writes_more_than_the_most_characters():
    """Eight marks in a word of 17 characters: WikiText writes it in 49, as ``1 @,@ 1`` and so on."""
    marked = ",".join("1" * 9)
    segmenter = Segmenter(lexicon(marked, "of"))
    unit = segmenter.lexicon.id_of[marked]
    assert len(segmenter.join([WIKITEXT, unit])) == 9 + 8 * 5
    for ids in ([unit], [unit] * 5, [WIKITEXT, *[unit] * 5]):
        assert len(segmenter.join(ids)) <= len(ids) * segmenter.most_characters
    assert segmenter.most_characters == 17 * 5 + 1


# --- properties ---

_MARKS = ["", " ", " ", " ", ", ", "-", "--", " - ", ".", "'", '"', ' "', '" ', "’", "_", "/", "`", "\n"]
_ODD = (
    *split("U.S. 3.14 don't can't O'Neill camelCase HTTPServer 1,234,567 e.g. 漢字 かな 😀 👩\u200d👩\u200d👧 🇩🇪"),
    *split("e\u0301 İ ß ſ ǅ ﬁ"),
    *split("\u200b \u00ad ñandú Ωmega שלום สวัสดี 한국어 https://a.b/c?d=e#f a_b@c.org @-@ @,@ @.@ n't ##s <cap>"),
    *(" @-@ ", " 't ", " 's ", " , ", " . "),
)
_CHARACTERS = st.text(alphabet=st.characters(exclude_categories=("Cs",)))
MIXED = st.lists(st.tuples(st.sampled_from((*WORDS, *_ODD)), st.sampled_from(_MARKS))).map(
    lambda pairs: "".join(a + b for a, b in pairs)
)
WIKI_TOKENS = (*WORDS, *split("@-@ @,@ @.@ 't 's ' didn won 17-red o'clock –"))
WIKI = st.lists(st.sampled_from(WIKI_TOKENS)).map(" ".join)
ANY = st.one_of(_CHARACTERS, MIXED, WIKI)


def normal_form(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


@given(ANY)
def test_segmentation_is_lossless(text):
    for segmenter in (FULL, BARE):
        ids = segmenter.segment(text)
        assert segmenter.join(ids) == normal_form(text)
        assert EOS not in ids
        assert ids == segmenter.segment(text)
        assert FIRST_BYTE + 0x20 not in ids, "the last resort, the entire text as bytes, was needed"


@given(ANY)
def test_no_spacing_control_is_superfluous(text):
    ids = FULL.segment(text)
    for place, unit in enumerate(ids):
        if unit in (JOIN, SPACE):
            assert FULL.join(ids[:place] + ids[place + 1 :]) != normalize(text)


@given(st.text())
def test_only_lone_surrogates_are_rejected(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(ValueError, match="surrogate"):
            FULL.segment(text)
    else:
        assert FULL.join(FULL.segment(text)) == normal_form(text)


# --- phrases: the fewest units, compared with trying everything ---


def naive_fewest(trie_surfaces: set[str], tokens: list[str], links: list[int]) -> int:
    """Units of the best of all cuts of the tokens."""
    best = len(tokens)
    for cuts in product([False, True], repeat=max(0, len(tokens) - 1)):
        groups, group = [], [0]
        for place, cut in enumerate(cuts, 1):
            if cut or links[place]:
                groups.append(group)
                group = []
            group.append(place)
        groups.append(group)
        if all(len(g) == 1 or " ".join(tokens[i] for i in g) in trie_surfaces for g in groups):
            best = min(best, len(groups))
    return best + sum(map(bool, links))


@given(
    st.lists(st.sampled_from(["a b", "b c", "c d", "a b c", "b c d", "c d a b", "d a", "a a"]), unique=True),
    st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from([0, 0, 0, SPACE])), min_size=1, max_size=9),
)
def test_phrases_are_chosen_for_the_fewest_units(phrases, pairs):
    trie = PhraseTrie(lexicon("a", "b", "c", "d", *phrases))
    tokens, links = [token for token, _ in pairs], [0, *(link for _, link in pairs[1:])]
    places = [trie.place(token, (len(RESERVED) + "abcd".index(token),)) for token in tokens]
    assert len(trie.cover(places, links)) == naive_fewest(set(phrases), tokens, links)


def test_segment_batch_is_segment_of_each():
    texts = ["the first time", "", "red-tipped"]
    assert FULL.segment_batch(texts) == [FULL.segment(text) for text in texts]
