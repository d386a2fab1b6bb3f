"""Homographs, words of several senses: how far one vector for a spelling is from what the word means in its contexts.

Occurrences are WordNet's own example sentences, so every one comes with its sense; their vectors are the backbone's
contextual states of the word.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexivert.data.wordnet import Synset

FEWEST_EXAMPLES = 2
"""Senses with fewer examples of the very spelling are left out: a sense must be told from its other example."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Occurrence:
    """A word in a sentence.

    Attributes:
        word: the spelling, in lower case.
        sense: name of the synset.
        text: the sentence.
        span: where the word stands in it: first character and the one after the last.
    """

    word: str
    sense: str
    text: str
    span: tuple[int, int]


def occurrences(entries: Iterable[Synset], spellings: Sequence[str]) -> dict[str, list[Occurrence]]:
    """Words of at least two senses, each with at least ``FEWEST_EXAMPLES`` sentences that spell the word just so.

    Args:
        entries: the dictionary.
        spellings: words that count, in lower case.

    Returns:
        Word to its occurrences, words sorted.
    """
    wanted = set(spellings)
    found: dict[str, dict[str, list[Occurrence]]] = defaultdict(lambda: defaultdict(list))
    for entry in entries:
        for word in dict.fromkeys(lemma.lower() for lemma in entry.lemmas):
            if word in wanted:
                pattern = re.compile(rf"(?<![\w'-]){re.escape(word)}(?![\w'-])", re.IGNORECASE)
                for text in entry.examples:
                    if hit := pattern.search(text):
                        found[word][entry.name].append(Occurrence(word, entry.name, text, hit.span()))
    chosen = {}
    for word in sorted(found):
        senses = [hits for hits in found[word].values() if len(hits) >= FEWEST_EXAMPLES]
        if len(senses) > 1:
            chosen[word] = [hit for hits in senses for hit in hits]
    return chosen


def normalised(rows: Array) -> Array:
    """Rows at unit length. Shape: (B, H)."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Array = (rows / np.maximum(lengths, 1e-12)).astype(np.float32)
    return unit


def word_report(states: Array, senses: Sequence[str], unit: Array, seed: int) -> dict[str, float]:
    """Figures of one word.

    Args:
        states: contextual states of its occurrences, centred. Shape: (B, H).
        senses: sense of each.
        unit: the one feature of the spelling, as the token head reads it, centred. Shape: (H,).
        seed: of the clustering.

    Returns:
        ``own_sense``, ``other_senses``, ``all_senses``: mean cosine of an occurrence with the others of its sense,
        with those of each other sense, and with all others of the word (pair by pair, so that a sense of many
        examples has no advantage); ``isolated_word``: with the feature of the word alone; ``nearest_sense``: share of
        occurrences whose own sense has the highest of these means;
        ``chance``: what a guess among the senses gives; ``adjusted_rand`` and ``v_measure`` of k-means clusters
        against the senses (Hubert & Arabie 1985; Rosenberg & Hirschberg 2007).
    """
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]
    from sklearn.metrics import adjusted_rand_score, v_measure_score  # type: ignore[import-untyped]

    rows = normalised(states)
    labels = np.unique(np.asarray(senses), return_inverse=True)[1]
    count = int(labels.max()) + 1
    sums = np.stack([rows[labels == label].sum(0) for label in range(count)])
    sizes = np.bincount(labels)
    own, other, everything, hits = [], [], [], []
    for row, label in zip(rows, labels, strict=True):
        itself = np.arange(count) == label
        cosines = (sums @ row - itself) / (sizes - itself)
        own.append(cosines[label])
        other.append(np.delete(cosines, label).mean())
        everything.append((sums.sum(0) @ row - 1.0) / (len(rows) - 1))
        hits.append(float(cosines.argmax() == label))
    clusters = KMeans(n_clusters=count, n_init=5, random_state=seed).fit_predict(rows)
    return {
        "own_sense": float(np.mean(own)),
        "other_senses": float(np.mean(other)),
        "all_senses": float(np.mean(everything)),
        "isolated_word": float((rows @ normalised(unit[None])[0]).mean()),
        "nearest_sense": float(np.mean(hits)),
        "chance": 1.0 / count,
        "adjusted_rand": float(adjusted_rand_score(labels, clusters)),
        "v_measure": float(v_measure_score(labels, clusters)),
    }


def mean_report(reports: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean of every figure over words, each word counting once."""
    names = next(iter(reports.values()), {})
    return {name: float(np.mean([report[name] for report in reports.values()])) for name in names}
