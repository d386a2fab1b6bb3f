"""The Gutenberg selection: typographic habits of its 18 books undone, so that sentences remain."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lexivert.data.sentences import split_sentences

_OTHER_GENRES = {
    "bible": "bible",
    "blake": "poems",
    "milton": "poems",
    "shakespeare": "drama",
    "whitman": "poems",
}
"""By what a file's name begins with; the others are novels and stories."""
VERSE_WORDS = 40
_LICENCE = re.compile(r"^End of (?:the )?Project Gutenberg.*", re.M | re.S)
_VERSE_NUMBER = re.compile(r"(?:^|(?<=\s))\d+:\d+\s+")
_SPEAKER = re.compile(r"^ {1,5}(?:\d|[A-Z][a-z]*(?: [A-Z]?[a-z]+)?)\. ", re.M)
_DOTS = re.compile(r"\.?(?: \.){2,}|\.{3,}")
_EMPHASIS = re.compile(r"(?<![^\W_])_+|_+(?![^\W_])")
_FOOTNOTE_MARK = re.compile(r" ?\*+ ?(?=$|[\"')])|\*+ ?|(?<!\S)>(?=\w)")
_STOP_DASH = re.compile(r"(?<=[.!?])([\"']?)--\s?(?=[\"']?[A-Z])")
_SPACED_QUOTE = re.compile(r"(?<=[.!?,])\s+\"$")
_CREDIT = re.compile(r"\s*--[A-Z][A-Z0-9'’.,()& -]{3,}$")
_MISSING_SPACE = re.compile(r"(?<=[a-z][;:,])(?=[A-Za-z]{2})")
_HEADING = re.compile(
    r"(?i:chapter|volume|vol\.|book|part|act|scene|canto)(?: [IVXLC\d]+\b.{0,70})?\.?$"
    r"|(?:Actus|Sc[a-z]*na) [A-Z].{0,40}$"
    r"|(?i:epilogue|prologue|etymology|extracts|contents|finis|the end)\b.{0,3}$"
    r"|[IVXLC]+\.?$|[IVXLC]+\. [A-Z].{0,60}$|\d+\.?$"
)


def genre(name: str) -> str:
    """Source of a book's text, by its file's stem, such as ``milton-paradise``."""
    return _OTHER_GENRES.get(name.partition("-")[0], "novels")


def read_book(path: Path) -> str:
    """A book's text; the selection is ASCII but for a few Latin-1 letters."""
    return path.read_text(encoding="latin-1")


def book_sentences(name: str, text: str) -> list[str]:
    """Sentences of one book, headings, verse numbers, speaker names, footnote marks and licence dropped.

    Args:
        name: the file's stem, such as ``milton-paradise``.
        text: the file's content.
    """
    text = _LICENCE.sub("", text)
    text = re.sub(r"^\[.*?\]", "", text, count=1)
    if name == "bible-kjv":
        text = re.sub(_VERSE_NUMBER, "\n\n", text)
    play = name.startswith("shakespeare")
    if play:
        text = _SPEAKER.sub("\n\n", text)
    return [sentence for paragraph in _paragraphs(text, titles=not play) for sentence in split_sentences(paragraph)]


def _paragraphs(text: str, *, titles: bool) -> Iterator[str]:
    for block in re.split(r"\n\s*\n", text):
        lines = [line.strip() for line in block.splitlines() if line.strip() and not line.strip().isdigit()]
        if lines and not is_heading(lines, titles=titles):
            yield from (clean(part) for part in _verse_parts(lines))


def is_heading(lines: list[str], *, titles: bool = True) -> bool:
    """Whether a block of lines is a chapter number, an ornament, an editor's bracket or, if ``titles``, a title.

    A title is spelt with capitals and has no mark at its end; so have many short speeches of the plays.
    """
    text = " ".join(lines)
    if not any(map(str.islower, text)):
        return len(text) < 100 or not any(map(str.isalpha, text))
    if text[0] in "[}{" and (text[0] != "[" or text[-1] == "]"):
        return True
    if len(lines) > 2:
        return False
    if _HEADING.match(text):
        return True
    return titles and text[-1].isalnum() and all(word[0].isupper() for word in _long_words(text))


def _long_words(text: str) -> list[str]:
    """Words that a title spells with a capital."""
    return [word for word in text.split() if len(word) > 4 and word[0].isalpha()] or text.split()


def _verse_parts(lines: list[str]) -> Iterator[str]:
    """Prose stays as it is; verse, whose sentences run over dozens of lines, is cut where a line ends a clause.

    A semicolon or stronger mark ends one, and after ``VERSE_WORDS`` words a comma does too.
    """
    capitals = sum(not line.lstrip("\"'(`-")[:1].islower() for line in lines)
    if len(lines) < 3 or capitals < 0.8 * len(lines):
        yield " ".join(lines)
        return
    current: list[str] = []
    for line in lines:
        current.append(line)
        if line[-1] in ";:.!?" or (line[-1] == "," and sum(map(len, map(str.split, current))) >= VERSE_WORDS):
            yield " ".join(current)
            current = []
    if current:
        yield " ".join(current)


def clean(text: str) -> str:
    """One paragraph without the print's habits.

    Emphasis underscores, footnote stars and a quotation's credit in capitals go; grave accents become quotes, spaced
    dots ``...``, and a dash after a full stop (Austen's ``I have.--Poor Edward!``) a space.
    """
    text = _EMPHASIS.sub("", text.replace("`", "'"))
    text = _STOP_DASH.sub(r"\1 ", _FOOTNOTE_MARK.sub("", _CREDIT.sub("", text)))
    return _DOTS.sub("...", _MISSING_SPACE.sub(" ", _SPACED_QUOTE.sub('"', text)))
