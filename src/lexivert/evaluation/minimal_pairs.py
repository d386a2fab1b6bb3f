"""Minimal pairs: small changes of a sentence that keep its words but not its meaning."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_AUXILIARY = re.compile(
    r"\b(is|are|was|were|am|will|would|can|could|shall|should|may|might|must|had|has|have|did|does|do)\b(?! not\b)"
)
_WORD = re.compile(r"(?<![\w'’-])[^\W\d_]+(?:['’-][^\W\d_]+)*(?![\w'’-])")

VERBS = (
    "saw", "helped", "followed", "called", "found", "loved", "feared", "watched", "praised", "blamed", "chased",
    "fed", "met", "robbed", "taught", "saved", "hated", "carried", "pushed", "painted",
)  # fmt: skip
"""Verbs of the controlled sentences: both nouns can be subject and object of each."""
ADVERBS = ("often", "once", "today", "again", "twice", "gladly", "slowly")


def swap_neighbours(text: str, rng: np.random.Generator) -> str | None:
    """Swap two neighbouring words, drawn at random, that are not alike; None if there are no such two.

    Words are letters, with apostrophes and hyphens within, and have a space between them. Only words in lower case
    are swapped: a capital in an odd place would tell a swap by its spelling.
    """
    words = list(_WORD.finditer(text))
    pairs = [
        (left, right)
        for left, right in itertools.pairwise(words)
        if text[left.end() : right.start()] == " "
        and left[0] != right[0]
        and left[0].islower()
        and right[0].islower()
    ]
    if not pairs:
        return None
    left, right = pairs[int(rng.integers(len(pairs)))]
    return f"{text[: left.start()]}{right[0]} {left[0]}{text[right.end() :]}"


def negate(text: str) -> str | None:
    """Insert "not" behind the first auxiliary; None if there is none that stands before another word."""
    for hit in _AUXILIARY.finditer(text):
        if text[hit.end() : hit.end() + 1] == " ":
            return text[: hit.end()] + " not" + text[hit.end() :]
    return None


@dataclass(frozen=True)
class Pairs:
    """Sentences with their changed versions, each pair of two classes.

    Attributes:
        original: B sentences.
        changed: B sentences.
        group: which words a sentence is made of: pairs of one group must not be split between training and test.
    """

    original: list[str]
    changed: list[str]
    group: list[int]


def subject_object(nouns: Sequence[str], count: int, rng: np.random.Generator) -> Pairs:
    """Controlled sentences "The A saw the B." and "The B saw the A.".

    Nouns fall into two classes at random, of which an original's subject is of the first: the words are the same on
    both sides, so nothing but their order separates the two classes of sentences. Whoever knows all nouns can tell
    whose turn it is. A pair of nouns makes one group, so that tests are about pairs never seen together.
    """
    order = [nouns[i] for i in rng.permutation(len(nouns)).tolist()]
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    original, changed, group = [], [], []
    for _ in range(count):
        a, b = int(rng.integers(len(first))), int(rng.integers(len(second)))
        verb = VERBS[int(rng.integers(len(VERBS)))]
        original.append(f"The {first[a]} {verb} the {second[b]}.")
        changed.append(f"The {second[b]} {verb} the {first[a]}.")
        group.append(a * len(second) + b)
    return Pairs(original, changed, group)


def neighbouring_words(
    adjectives: Sequence[str], nouns: Sequence[str], count: int, rng: np.random.Generator
) -> Pairs:
    """Controlled sentences "The A B king saw them." and "The B A king saw them.", A and B of two random classes.

    Everything else as for ``subject_object``.
    """
    order = [adjectives[i] for i in rng.permutation(len(adjectives)).tolist()]
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    original, changed, group = [], [], []
    for _ in range(count):
        a, b = int(rng.integers(len(first))), int(rng.integers(len(second)))
        rest = f"{nouns[int(rng.integers(len(nouns)))]} {VERBS[int(rng.integers(len(VERBS)))]} them."
        original.append(f"The {first[a]} {second[b]} {rest}")
        changed.append(f"The {second[b]} {first[a]} {rest}")
        group.append(a * len(second) + b)
    return Pairs(original, changed, group)


def negation(nouns: Sequence[str], count: int, rng: np.random.Generator) -> Pairs:
    """Controlled sentences "The A who saw them was often the B." and the same with "not" in the adverb's place.

    Every sentence has an adverb there, so that not its length but its word is the difference.
    """
    original, changed, group = [], [], []
    for _ in range(count):
        a, b = (int(i) for i in rng.choice(len(nouns), size=2, replace=False))
        verb = VERBS[int(rng.integers(len(VERBS)))]
        adverb = ADVERBS[int(rng.integers(len(ADVERBS)))]
        original.append(f"The {nouns[a]} who {verb} them was {adverb} the {nouns[b]}.")
        changed.append(f"The {nouns[a]} who {verb} them was not the {nouns[b]}.")
        group.append(a * len(nouns) + b)
    return Pairs(original, changed, group)
