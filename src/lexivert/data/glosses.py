"""WordNet's definitions and example sentences, read from its data files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lexivert.artifacts import require

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
_UNDERSCORE = re.compile(r"(?<=\w)_(?=\w)")
_MARKER = re.compile(r"\((?:a|p|ip)\)$")  # where an adjective may stand
_QUOTE = re.compile(r';?\s*"')


@dataclass(frozen=True)
class Entry:
    """A synset as the dictionary prints it.

    Attributes:
        name: part of speech and offset, such as ``n00001740``; its document in the embedded corpus is named so.
        category: its lexicographer file, such as ``noun.animal``.
        lemmas: its words and phrases.
        definition: what it means.
        examples: sentences that use it.
    """

    name: str
    category: str
    lemmas: tuple[str, ...]
    definition: str
    examples: tuple[str, ...]


def read_glosses(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each synset's name (part of speech and offset, ``n00001740``) with its definition and examples.

    Raises:
        MissingArtifactError: a data file is not there.
    """
    for name, _, gloss in _lines(folder):
        yield name, split_gloss(gloss)


def read_entries(folder: Path) -> Iterator[Entry]:
    """Yield every synset that has a definition, in file order.

    Raises:
        MissingArtifactError: a file is not there.
    """
    names = require(folder / "lexnames").read_text(encoding="utf-8").splitlines()
    categories = {fields[0]: fields[1] for fields in map(str.split, names) if fields}
    for name, head, gloss in _lines(folder):
        if said := split_gloss(gloss):
            fields = head.split()  # offset, file, type, words (count in hexadecimal), … (see wndb(5WN))
            words = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
            lemmas = tuple(_MARKER.sub("", word).replace("_", " ") for word in words)
            yield Entry(name, categories[fields[1]], lemmas, said[0], tuple(said[1:]))


def _lines(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Name, what stands before the gloss, and the gloss of every synset."""
    for part in PARTS_OF_SPEECH:
        with require(folder / f"data.{part}").open(encoding="utf-8") as lines:
            for line in lines:
                head, bar, gloss = line.partition(" | ")
                if bar and not line.startswith(" "):
                    yield ("r" if part == "adv" else part[0]) + head[:8], head, gloss


def split_gloss(gloss: str) -> list[str]:
    """Definition first, then the examples, which stand in double quotes.

    WordNet's quotes don't always pair, so every double quote separates; grave accents become apostrophes.
    """
    parts = (part.strip(" ;:\n") for part in _QUOTE.split(_UNDERSCORE.sub(" ", gloss.replace("`", "'"))))
    return [" ".join(part.split()) for part in parts if any(map(str.isalnum, part))]
