from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.text.detokenizer import capitalize, join_plain, uppercase
from lexivert.text.lexicon import JOIN, SPACE
from lexivert.text.shapes import shape
from lexivert.text.spacing import Line, PlainSpacing
from lexivert.text.tokenizer import split_chunk


def split(words: str) -> list[str]:
    return words.split()


def line(tokens: list[str], links: dict[int, int] | None = None) -> Line:
    return Line(tokens, [shape(token) for token in tokens], [(links or {}).get(i, 0) for i in range(len(tokens))])


@pytest.mark.parametrize(
    "text",
    [
        "Emma Woodhouse, handsome, clever, and rich.",
        'He said, "I am here," and "No!" she cried.',
        "'Tis the boys' own fault; they didn't, he'll see.",
        "It was--so to speak--a well-known (if not the best-known) trick.",
        "“Curly” quotes, ‘too’ – don’t they…",
        "Genesis 1:1 and 3.14 and $5, 50% of 1,234.",
        "an _emphatic_ word and `code' and `more` of it",
        "left/right, black and white",
        "in the 1860s; e.g. Mr. Knightley and H. G. Wells",
        "字漢字かな",
    ],
)
def test_default_spacing_needs_no_corrections(text):
    assert join_plain(line([surface for chunk in text.split() for surface in split_chunk(chunk)])) == text


def test_quotes_alternate():
    assert join_plain(line(['"', "a", '"', "b", '"', "c", '"'])) == '"a" b "c"'


def test_final_quote_closes_though_none_is_open():
    assert join_plain(line(["glad", ".", '"'])) == 'glad."'


def test_correcting_a_quote_corrects_what_follows():
    # by default the quote opens; attached on its left it must be a closing one, so that white space follows
    assert join_plain(line(["glad", ",", '"', "he", "said"])) == 'glad, "he said'
    assert join_plain(line(["glad", ",", '"', "he", "said"], {2: JOIN})) == 'glad," he said'


def test_a_free_hyphen_is_free_on_both_sides():
    assert join_plain(line(["red", "-", "tipped"])) == "red-tipped"
    assert join_plain(line(["red", "-", "tipped"], {1: SPACE})) == "red - tipped"
    assert join_plain(line(["minus", "-", "5"], {1: SPACE})) == "minus -5"


def test_numbers_grow_together():
    assert join_plain(line(["17", "34"])) == "1734"
    assert join_plain(line(["12", ",", "345"])) == "12,345"
    assert join_plain(line(["in", "12", ",", "34"])) == "in 12, 34"
    assert join_plain(line(["3", ".", "57"])) == "3.57"


def test_possessive_plural_and_quoted_word():
    assert join_plain(line(["the", "boys", "'", "toys"])) == "the boys' toys"
    assert join_plain(line(["the", "'", "new", "'", "one"])) == "the 'new' one"


def test_case_is_changed_only_where_that_can_be_undone():
    assert (capitalize("the first"), uppercase("of the")) == ("The first", "OF THE")
    assert capitalize("école") == "École"
    assert (capitalize("ßa"), uppercase("straße"), capitalize("ŉa")) == ("ßa", "straße", "ŉa")
    assert capitalize("'tis") == "'tis"


def naive_join(tokens: list[str], links: list[int]) -> str:
    """Follow the rules a token at a time, without tables inlined."""
    spacing, text = PlainSpacing(), ""
    shapes = [shape(token) for token in tokens]
    for place, token in enumerate(shapes):
        following = shapes[place + 1].initial if place + 1 < len(shapes) else None
        spaced = links[place] == SPACE if links[place] else spacing.wants_space(token, following)
        spaced = spaced and place > 0
        text += " " * spaced + tokens[place]
        spacing.advance(token, spaced, following)
    return text


TOKENS = [
    *split("the boys tis 's n't 5 234 1860s . , : ; ( ) [ ] \" ' _ ` * - -- — – / & % $ “ ” ’ … 字 é"),
    *split("😀 Mr."),
]


@given(st.lists(st.tuples(st.sampled_from(TOKENS), st.sampled_from([0, 0, 0, JOIN, SPACE]))))
def test_joining_follows_the_rules(pairs):
    tokens, links = [token for token, _ in pairs], [link for _, link in pairs]
    assert join_plain(line(tokens, dict(enumerate(links)))) == naive_join(tokens, links)
