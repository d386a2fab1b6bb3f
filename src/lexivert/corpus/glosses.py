"""WordNet's definitions and example sentences, read from its data files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from lexivert.artifacts import require

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
_UNDERSCORE = re.compile(r"(?<=\w)_(?=\w)")
_QUOTE = re.compile(r';?\s*"')


def read_glosses(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each synset's name (part of speech and offset, ``n00001740``) with its definition and examples.

    Raises:
        MissingArtifactError: a data file is not there.
    """
    for part in PARTS_OF_SPEECH:
        with require(folder / f"data.{part}").open(encoding="utf-8") as lines:
            for line in lines:
                head, bar, gloss = line.partition(" | ")
                if bar and not line.startswith(" "):
                    yield part[0] + head[:8] if part != "adv" else "r" + head[:8], split_gloss(gloss)


def split_gloss(gloss: str) -> list[str]:
    """Definition first, then the examples, which stand in double quotes.

    WordNet's quotes don't always pair, so every double quote separates; grave accents become apostrophes.
    """
    parts = (part.strip(" ;:\n") for part in _QUOTE.split(_UNDERSCORE.sub(" ", gloss.replace("`", "'"))))
    return [" ".join(part.split()) for part in parts if any(map(str.isalnum, part))]
