from __future__ import annotations

import pytest

from lexivert.data.embedded import EMBEDDED_SOURCES
from lexivert.data.gutenberg import book_sentences, clean, genre, is_heading, read_book
from lexivert.data.sentences import balance_quotes


def test_prose_without_title_chapters_and_licence():
    text = (
        "[Emma by Jane Austen 1816]\n\nVOLUME I\n\nCHAPTER I\n\n\nShe was _so_ happy,\nand rich.  It was fine.\n\n"
        "I. A DISCUSSION SOMEWHAT IN THE AIR\n\n*    *    *\n\nHe left.\n\nTHE END\n\n"
        "End of Project Gutenberg's Emma\n\nlegal words.\n"
    )
    assert book_sentences("austen-emma", text) == ["She was so happy, and rich.", "It was fine.", "He left."]


def test_every_book_has_a_genre(embedded):
    found = {}
    for path in embedded.gutenberg.glob("*.txt"):
        found.setdefault(genre(path.stem), []).append(path.stem)
    assert {name: len(books) for name, books in found.items()} == {"novels": 11, "drama": 3, "bible": 1, "poems": 3}
    assert set(found) == set(EMBEDDED_SOURCES) - {"wikipedia", "glosses"}


def test_bible_verses_lose_their_numbers():
    text = (
        "[The King James Bible]\n\nThe First Book of Moses:  Called Genesis\n\n\n1:14 And God said, Let "
        "there be\nlights: 1:15 And let them be for lights.\n\n"
        "1:16 And God made two great lights. He made the stars also.\n"
    )
    assert book_sentences("bible-kjv", text) == [
        "And God said, Let there be lights:",
        "And let them be for lights.",
        "And God made two great lights.",
        "He made the stars also.",
    ]


def test_plays_lose_their_speakers():
    text = (
        "[Hamlet]\n\nActus Primus.\n\n  Barnardo. Who's there?\n"
        "  Fran. Nay answer me: Stand & vnfold\nyour selfe\n\n   Bar. He"
    )
    assert book_sentences("shakespeare-hamlet", text) == [
        "Who's there?",
        "Nay answer me: Stand & vnfold your selfe",
        "He",
    ]


def test_verse_is_cut_where_a_line_ends_a_clause():
    text = (
        "[x]\n\nOf Man's first disobedience, and the fruit \nOf that forbidden tree; \n"
        "Sing, Heavenly Muse \nWith loss of Eden. \n"
    )
    assert book_sentences("milton-paradise", text) == [
        "Of Man's first disobedience, and the fruit Of that forbidden tree;",
        "Sing, Heavenly Muse With loss of Eden.",
    ]


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("CHAPTER XI", True),
        ("Chapter 1", True),
        ("}  Thoughts", True),
        ("[Illustration: a bear]", True),
        ("The Book of Joshua", True),
        ("*    *    *", True),
        ("IV. The Arrest", True),
        ("I went home early.", False),
        ("Civil words, I. Know it.", False),
        ("Part of it was true.", False),
        ("'I've heard something like it,' said Alice.", False),
        (
            "Part of it was true, and she knew it well enough to say so; yet she never did, and no one asked her to.",
            False,
        ),
    ],
)
def test_is_heading(line, heading):
    assert is_heading([line]) is heading


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("not to have mentioned. . . . Well,", "not to have mentioned... Well,"),
        ("`Can I?' said he", "'Can I?' said he"),
        ("I have.--Poor Edward!--But now", "I have. Poor Edward! But now"),
        ("she said _much_ more, snake_case", "she said much more, snake_case"),
        ("upon such shadows.*", "upon such shadows."),
        ('--"that is not true." --HACKLUYT', '--"that is not true."'),
        ("wide;let in >From you", "wide; let in From you"),
    ],
)
def test_clean(raw, cleaned):
    assert clean(raw) == cleaned


def test_real_books(embedded):
    assert len(list(embedded.gutenberg.glob("*.txt"))) == 18
    names = ("austen-persuasion", "burgess-busterbrown", "carroll-alice", "chesterton-ball", "shakespeare-macbeth")
    books = {name: book_sentences(name, read_book(embedded.gutenberg / f"{name}.txt")) for name in names}
    assert books["austen-persuasion"][0].startswith(
        "Sir Walter Elliot, of Kellynch Hall, in Somersetshire, was a man"
    )
    assert books["chesterton-ball"][0].startswith("The flying ship of Professor Lucifer sang through the skies")
    assert not any("Gutenberg" in text for text in books["chesterton-ball"])
    texts = [text for sentences in books.values() for text in sentences]
    assert len(texts) == pytest.approx(11_800, rel=0.05)
    assert all(text == " ".join(text.split()) for text in texts)
    assert sum(balance_quotes(text).count('"') % 2 for text in texts) < 0.001 * len(texts)
