"""Where units lie: drawn units with their classes, and their places on a plane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lexivert.data.wordnet import Synset
from lexivert.text.lexicon import COUNTED_KINDS, Lexicon

OTHER = "other"
_DENOISED = 50  # principal components that t-SNE sees
HEAT_CATEGORIES = ("noun.animal", "noun.food", "noun.time", "verb.motion", "adj.all")
_WORDS_A_CATEGORY = 6

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Drawn:
    """Units on a map.

    Attributes:
        units: their ids, ascending. Shape: (B,).
        kinds: kind of each.
        categories: lexicographer class of each, or ``other``.
    """

    units: npt.NDArray[np.int64]
    kinds: list[str]
    categories: list[str]


def categories(entries: Iterable[Synset]) -> dict[str, str]:
    """The lexicographer class of most senses of each lemma, in lower case; the first named wins a tie."""
    found: dict[str, Counter[str]] = {}
    for entry in entries:
        for lemma in entry.lemmas:
            found.setdefault(lemma.lower(), Counter())[entry.category] += 1
    return {lemma: counts.most_common(1)[0][0] for lemma, counts in found.items()}


def draw(lexicon: Lexicon, classes: dict[str, str], count: int, seed: int) -> Drawn:
    """Draw units at random, those that texts use more, more often; reserved units and word pieces are left out."""
    kinds = np.asarray(lexicon.kinds, dtype=object)
    candidates = np.flatnonzero(np.isin(kinds, COUNTED_KINDS))
    weight = np.sqrt(lexicon.usage[candidates] + 1.0)
    size = min(count, len(candidates))
    rng = np.random.default_rng(seed)
    units = np.sort(rng.choice(candidates, size, replace=False, p=weight / weight.sum()))
    own = [classes.get(lexicon.surfaces[unit].lower(), OTHER) for unit in units.tolist()]
    return Drawn(units, [lexicon.kinds[unit] for unit in units.tolist()], own)


def principal(vectors: Array) -> tuple[Array, float]:
    """Places along the first two principal components, and their share of the variance. Shape: (B, D) to (B, 2)."""
    from sklearn.decomposition import PCA  # type: ignore[import-untyped]

    model = PCA(n_components=2, svd_solver="full")
    places: Array = model.fit_transform(vectors)
    return places, float(model.explained_variance_ratio_.sum())


def neighbourhoods(vectors: Array, perplexity: float, seed: int) -> Array:
    """t-SNE (van der Maaten & Hinton 2008) of the first principal components by cosine. Shape: (B, D) to (B, 2)."""
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    width = min(_DENOISED, *vectors.shape)
    reduced = PCA(n_components=width, svd_solver="full").fit_transform(vectors)
    most = max((len(vectors) - 1) / 3, 1.0)
    model = TSNE(perplexity=min(perplexity, most), metric="cosine", init="pca", random_state=seed)
    with threadpool_limits(1):  # threads add up in any order, and t-SNE makes much of little
        places: Array = model.fit_transform(reduced)
    return places


def heat_words(lexicon: Lexicon, classes: dict[str, str]) -> list[int]:
    """The most used words of each of ``HEAT_CATEGORIES``, class by class."""
    order = np.argsort(-lexicon.usage, kind="stable").tolist()
    chosen: list[int] = []
    for category in HEAT_CATEGORIES:
        fitting = (
            unit
            for unit in order
            if lexicon.kinds[unit] == "word"
            and len(lexicon.surfaces[unit]) > 2
            and classes.get(lexicon.surfaces[unit]) == category
        )
        chosen += [unit for unit, _ in zip(fitting, range(_WORDS_A_CATEGORY), strict=False)]
    return chosen


def cosines(vectors: Array) -> Array:
    """Cosine of every row with every row. Shape: (B, D) to (B, B)."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    table: Array = unit @ unit.T
    return table


def surfaces(lexicon: Lexicon, units: Sequence[int]) -> list[str]:
    """Strings of units."""
    return [lexicon.surfaces[unit] for unit in units]
