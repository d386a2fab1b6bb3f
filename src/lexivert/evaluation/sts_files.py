"""Sentence pairs with scores of similarity, read from STS files: score, sentence and sentence a line."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from lexivert.errors import LexivertError
from lexivert.io import TextLine, check_input, read_texts

_TITLE = re.compile(r"[\W_]*[^\W\d_]{3}")
"""What a column's title begins like: three letters, as no number does, however it is written."""
_NO_TITLES = frozenset({"nan", "nil", "none", "null", "missing", "inf", "infinity"})
"""Words for scores that are missing or not finite."""


@dataclass(frozen=True)
class Pair:
    """A line of an STS file.

    Attributes:
        where: file and line, for messages.
        score: how alike the sentences are; any scale.
        first: a sentence.
        second: another.
    """

    where: str
    score: float
    first: str
    second: str


def read_pairs(path: Path) -> list[Pair]:
    """Read an STS file: score, sentence and sentence a line, with tabs between; quotes have no meaning.

    A first line whose first column begins with a word, such as ``score``, is a header; empty lines are passed over.

    Raises:
        LexivertError: a line is not like that, or there are no two different scores; names file and line.
    """
    check_input(path, (".tsv",))
    pairs = [pair for line in read_texts(path) if line.text and (pair := _pair(line))]
    if len({pair.score for pair in pairs}) < 2:
        raise LexivertError(f"{path} holds {len(pairs)} pairs; at least two with different scores are needed")
    return pairs


def _pair(line: TextLine) -> Pair | None:
    """Read a line; None for a header."""
    cells = line.text.split("\t")
    if len(cells) != 3:
        raise LexivertError(
            f"{line.where}: {len(cells)} columns; score, sentence and sentence are needed, tabs between"
        )
    score, first, second = cells
    if line.number == 1 and _TITLE.match(score) and score.strip(" \"'+-").lower() not in _NO_TITLES:
        return None
    try:
        value = float("" if "_" in score else score)  # Python would take 1_0 for 10
    except ValueError as error:
        raise LexivertError(f"{line.where}: score {score!r:.40} is no number, such as 3.5") from error
    if not math.isfinite(value):
        raise LexivertError(f"{line.where}: score is {value}; a finite number is needed")
    if not (first.strip() and second.strip()):
        raise LexivertError(f"{line.where}: sentence {2 if first.strip() else 1} is empty")
    return Pair(line.where, value, first, second)
