"""Sentence pairs with scores of similarity, read from STS files: score, sentence and sentence a line."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from lexivert.errors import LexivertError
from lexivert.io import TextLine, check_input, read_texts


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

    A first line that does not begin with a number is a header; empty lines are passed over.

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
    try:
        value = float(score)
    except ValueError as error:
        if line.number == 1:
            return None
        raise LexivertError(f"{line.where}: score {score!r:.40} is no number") from error
    if not math.isfinite(value):
        raise LexivertError(f"{line.where}: score is {value}; a finite number is needed")
    if not (first.strip() and second.strip()):
        raise LexivertError(f"{line.where}: sentence {2 if first.strip() else 1} is empty")
    return Pair(line.where, value, first, second)
