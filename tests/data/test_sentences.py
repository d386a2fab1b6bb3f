from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.data.sentences import balance_quotes, limit_words, paragraphs, split_sentences


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One ends. Two ends! Three?", ["One ends.", "Two ends!", "Three?"]),
        ("Mr. Knightley cannot stop. He is going.", ["Mr. Knightley cannot stop.", "He is going."]),
        ("By G. K. Chesterton. It sold.", ["By G. K. Chesterton.", "It sold."]),
        ("So did I. You know it.", ["So did I.", "You know it."]),
        ("It cost 3.14 pounds. See p. 5 there.", ["It cost 3.14 pounds.", "See p. 5 there."]),
        ("Ah! he is off... and gone. No. 5 won.", ["Ah! he is off... and gone.", "No. 5 won."]),
        ("'Is that so?' Alice asked. She left.", ["'Is that so?' Alice asked.", "She left."]),
        ('"Stop!" cried he. "Why?" She ran.', ['"Stop!" cried he.', '"Why?"', "She ran."]),
        ("(It rained.) We went.", ["(It rained.)", "We went."]),
        ("* * *", []),
        ("", []),
        ("no stop at the end", ["no stop at the end"]),
        ("wrapped\n   lines  join.\nNext one.", ["wrapped lines join.", "Next one."]),
        ("Ça va. Être ou ne pas être. Écoute.", ["Ça va.", "Être ou ne pas être.", "Écoute."]),
    ],
)
def test_split_sentences(text, sentences):
    assert split_sentences(text) == sentences


@pytest.mark.parametrize(
    ("broken", "mended"),
    [
        ('"I declare I never heard.', "I declare I never heard."),
        ('he never talks of you at all."', "he never talks of you at all."),
        ('"No," said he, "I never did.', '"No," said he, "I never did."'),
        ('it was fine," said he.', '"it was fine," said he.'),
        ('I did," said he, "and more', '"I did," said he, "and more"'),
        ('"Whole," he said.', '"Whole," he said.'),
        ("'Tis the sailors' boat, and it's mine.", "'Tis the sailors' boat, and it's mine."),
        ("Alice said, 'I never did.", "Alice said, 'I never did.'"),
        ("(and so on.", "and so on."),
        ("he left (at noon.", "he left (at noon.)"),
    ],
)
def test_balance_quotes(broken, mended):
    assert balance_quotes(broken) == mended


@given(st.text(alphabet=st.sampled_from("aB .!?\"'()\n-"), max_size=60))
def test_splitting_keeps_every_letter_in_order(text):
    letters = [char for char in text if char.isalpha()]
    assert [char for sentence in split_sentences(text) for char in sentence if char.isalpha()] == letters


@pytest.mark.parametrize("text", ["\n\n \n\nA text.", "A text.\n\n", " \n\nA text."])
def test_blank_paragraphs_are_none(text):
    assert list(paragraphs(text)) == ["A text."]
    assert list(paragraphs("\n \n\n")) == []


def test_paragraphs_join_hard_wraps_and_keep_long_lines_apart():
    wrapped = "This paragraph is wrapped by hand\nat about thirty characters, and\nends here.\n\nNext one."
    assert list(paragraphs(wrapped)) == [
        "This paragraph is wrapped by hand at about thirty characters, and ends here.",
        "Next one.",
    ]
    long = "word " * 30
    assert list(paragraphs(f"{long}\nsecond line")) == [long.strip(), "second line"]
    assert list(paragraphs("A title\r\nThe text of it begins here and goes on\r\n")) == [
        "A title",
        "The text of it begins here and goes on",
    ]


def test_limit_words_cuts_at_the_last_clause_end_that_fits():
    sentence = "one two three; four five, and six seven eight nine"
    assert list(limit_words([sentence, "short one"], 6)) == [
        "one two three; four five,",
        "and six seven eight nine",
        "short one",
    ]
    assert list(limit_words(["a b c d e f g"], 3)) == ["a b c", "d e f", "g"]


@given(st.lists(st.sampled_from(["a;", "b,", "and", "c"]), min_size=1, max_size=40), st.integers(1, 9))
def test_limit_words_loses_nothing_and_keeps_the_limit(words, most):
    parts = list(limit_words([" ".join(words)], most))
    assert " ".join(parts).split() == words
    assert max(len(part.split()) for part in parts) <= most
