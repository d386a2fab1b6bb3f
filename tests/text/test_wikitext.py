from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.text.lexicon import JOIN, SPACE
from lexivert.text.shapes import shape
from lexivert.text.spacing import Line
from lexivert.text.tokenizer import normalize, split_chunk
from lexivert.text.wikitext import (
    article_sentences,
    breaks_convention,
    count_marks,
    group_articles,
    is_heading,
    is_title,
    is_wikitext,
    join_wikitext,
    looks_like_wikitext,
    split_raw,
    split_wikitext,
    tokenize_wikitext,
    wikitext_text,
)

ARTICLE_LINES = ["", " = Homarus gammarus = \n", "", " It is a lobster . \n", " = = Habitat = = \n", " The sea . \n"]
SECOND_LINES = ["", " = Robert Boulter = \n", "", " He acts . = 5 = \n"]


def line(tokens: list[str], links: dict[int, int] | None = None) -> Line:
    return Line(tokens, [shape(token) for token in tokens], [(links or {}).get(i, 0) for i in range(len(tokens))])


# --- documents ---


@pytest.mark.parametrize(
    ("text", "title", "heading"),
    [
        (" = Homarus gammarus = ", True, True),
        ("= A =", True, True),
        (" = = Habitat = = ", False, True),
        ("   = A = ", False, True),
        ("a = b = c", False, False),
        (" = 5", False, False),
    ],
)
def test_titles_and_headings(text, title, heading):
    assert is_title(text) is title
    assert is_heading(text) is heading


@pytest.mark.parametrize("start", ["", "\n", "\n\n", " \n", "\n \t\n\n"])
def test_a_document_is_known_by_its_title_after_any_blank_lines(start):
    """The raw files of WikiText begin with a line that holds a blank."""
    assert is_wikitext(f"{start} = Homarus gammarus = \n \n It is a lobster . \n")
    assert is_wikitext(f"{start} = Homarus gammarus = ")
    assert not is_wikitext(f"{start} It is a lobster . \n = Homarus gammarus = \n")
    assert not is_wikitext(start)


def test_lines_are_grouped_into_articles():
    first, second = group_articles(ARTICLE_LINES + SECOND_LINES)
    assert first.split() == " ".join(ARTICLE_LINES).split()
    assert second.strip().startswith("= Robert Boulter =")
    assert is_wikitext(first)
    assert not is_wikitext("a = b = c")


def test_equations_and_sections_start_no_article():
    assert len(list(group_articles([" = One = ", "", " = = Part = = ", " x ", " = 5 = ", " y "]))) == 1


def test_sentences_of_an_article_are_its_lines_without_headings():
    text = " \n = A = \n \n It is . It was ! \n = = B = = \n \n Why ? \n"
    assert article_sentences(text) == ["It is .", "It was !", "Why ?"]


def test_split_wikitext_keeps_tokens_raw():
    line = ' He said " I won \'t . " Then he left at 5 @.@ 30 . " Why ? " asked <unk> . it stayed . '
    assert split_wikitext(line) == [
        'He said " I won \'t . "',
        "Then he left at 5 @.@ 30 .",
        '" Why ? " asked <unk> . it stayed .',
    ]


# --- tokens ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the red @-@ tipped one", ["the", "red-tipped", "one"]),
        ("1 @,@ 234 @.@ 5 lb", ["1,234.5", "lb"]),
        ("a well @-@ to @-@ do man", ["a", "well-to-do", "man"]),
        ("he didn 't", ["he", "did", "n't"]),
        ("I can 't , won 't", ["I", "can", "'t", ",", "won", "'t"]),
        ("it 's o 'clock", ["it", "'s", "o'clock"]),
        ("they ' re ' here '", ["they", "'", "re", "'", "here", "'"]),
        ("@-@ start", ["@-@", "start"]),
        ("end @-@", ["end", "@-@"]),
        ("( @-@ x", ["(", "@-@", "x"]),
        ("'t 's", ["'t", "'s"]),
    ],
)
def test_wikitext_tokens_and_back(text, expected):
    assert tokenize_wikitext(text) == expected
    assert wikitext_text(expected) == text


def test_both_conventions_give_the_same_units():
    plain = "He didn't see 1,234 red-tipped ones."
    spaced = "He didn 't see 1 @,@ 234 red @-@ tipped ones ."
    assert [token for chunk in plain.split() for token in split_chunk(chunk)] == tokenize_wikitext(spaced)


@given(st.one_of(st.text(), st.text(st.sampled_from("ab1'’-.,@ \u0301"))))
def test_wikitext_never_fails_and_loses_no_letter(text):
    joined = "".join(tokenize_wikitext(text))
    assert [c for c in joined if c.isalnum()] == [c for c in normalize(text) if c.isalnum()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" = Homarus gammarus = ", True),
        ("It may grow ( 24 in ) , and so on .", True),
        ("a red @-@ tipped one", True),
        ("Homarus gammarus, known as the lobster, is large.", False),
        ('"Yes," he said.', False),
        ("no marks at all", False),
        ("mail me@example.com now", False),
    ],
)
def test_looks_like_wikitext(text, expected):
    assert looks_like_wikitext(text) is expected


def test_chunks_with_raw_inner_marks_break_the_convention():
    chunks = ("18-yard", "-", "yard", "1,234", "o'clock", "x", "a-")
    assert list(filter(breaks_convention, chunks)) == ["18-yard", "1,234", "o'clock"]
    assert split_raw("18-yard") == [("18", False), ("-", True), ("yard", False)]
    assert split_raw("-a.") == [("-", True), ("a", False), (".", True)]


def test_marks_are_counted():
    assert count_marks("the red @-@ tipped , it 's here .") == 4
    assert count_marks("red-tipped, it's here.") == 0


# --- spacing and spelling ---


@pytest.mark.parametrize(
    "text",
    [
        "He didn 't see the hard @-@ shelled ones , but the 1 @,@ 234 others .",
        "It can 't be 3 @.@ 5 m ( 11 ft ) ; he 's \" here \" .",
        "5 – 6 kilograms : so they 'll o 'clock",
    ],
)
def test_wikitext_spacing_needs_no_corrections(text):
    assert join_wikitext(line(tokenize_wikitext(text))) == text


def test_marks_inside_words_are_spaced_out_in_wikitext():
    assert join_wikitext(line(["red", "-", "tipped", "wings"])) == "red @-@ tipped wings"
    assert join_wikitext(line(["red", "-", "tipped"], {1: SPACE})) == "red - tipped"
    assert join_wikitext(line(["red", "-", "tipped"], {1: JOIN})) == "red-tipped"
    assert join_wikitext(line(["1", ",", "234", ",", "5"])) == "1 @,@ 234 , 5"
    assert join_wikitext(line(["3", ".", "57", "."])) == "3 @.@ 57 ."
