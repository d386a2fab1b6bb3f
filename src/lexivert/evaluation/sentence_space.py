"""Stage ``sentence_space``: retrieval, classification and order awareness of each part of a sentence vector."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.codes.superposition import split_parts
from lexivert.config import Params
from lexivert.data.wordnet import Synset, read_synsets
from lexivert.errors import TooLongError
from lexivert.evaluation import minimal_pairs, probes
from lexivert.evaluation.minimal_pairs import Pairs
from lexivert.text.lexicon import Lexicon
from lexivert.text.tokenizer import normalize

if TYPE_CHECKING:
    import pandas as pd

SPACES = ("backbone", "prefix", "order", "full")
"""The bare backbone; the vector's semantic prefix; its order part; all of it."""
_NOUNS, _ADJECTIVES = 60, 40
_FEWEST_WORDS = 8  # of a class, for controlled sentences
_SENTENCE_WORDS = range(4, 31)
_FEWEST_BOOKS = 2  # of an author: one to learn from, one to be tested on

Spaces = dict[str, Tensor]
"""Vectors of some texts in every space, unit length. Shape: (B, S) twice, (B, O) and (B, D)."""


@dataclass(frozen=True)
class Corpus:
    """What the stage reads of the corpus: document, split and text of every sentence."""

    documents: list[str]
    splits: list[str]
    texts: list[str]


class SpaceEncoder:
    """Texts to vectors in every space; a text that is drawn again is neither segmented nor embedded again.

    It needs nothing that reads vectors back, and the bare embedding before it is part of one.

    Args:
        encoder: backbone, segmenter and codes.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._units: dict[str, list[int] | None] = {}
        self._features: dict[str, Tensor] = {}

    @property
    def lexicon(self) -> Lexicon:
        """All units."""
        return self.encoder.segmenter.lexicon

    def fits(self, text: str) -> bool:
        """Tell whether a vector is made for so many units."""
        return self._segmented(normalize(text)) is not None

    def encode(self, texts: Sequence[str], label: str) -> Spaces:
        """Vectors of B texts that fit; ``label`` names the progress bar."""
        texts = [normalize(text) for text in texts]
        new = [text for text in dict.fromkeys(texts) if text not in self._features]
        if new:
            embedded = torch.from_numpy(self.encoder.backbone.encode(new, progress=label))
            self._features |= dict(zip(new, embedded, strict=True))
        features = torch.stack([self._features[text] for text in texts])
        vectors = self.encoder.compose([self._segmented(text) or [] for text in texts], features)
        prefix, order = split_parts(vectors, self.encoder.config.semantic_width)
        return dict(zip(SPACES, (F.normalize(features, dim=-1), prefix, order, vectors), strict=True))

    def _segmented(self, text: str) -> list[int] | None:
        """Units of a normalised text; None if it is too long for a vector."""
        if text not in self._units:
            try:
                self._units[text] = self.encoder.units_of(text)
            except TooLongError:
                self._units[text] = None
        return self._units[text]


def run_sentence_space(paths: Paths, params: Params) -> None:
    """Write metrics/sentence_space.json and metrics/plots/order_awareness.csv."""
    encoder = SpaceEncoder(Encoder.load(paths.root))
    table = artifacts.read_parquet(paths.corpus, ["doc_id", "split", "text"])
    corpus = Corpus(*(table[name].to_pylist() for name in ("doc_id", "split", "text")))
    entries = list(read_synsets(paths.wordnet))
    seen, unseen = _by_training(entries, corpus)
    rng = np.random.default_rng(params.seed)
    order, changes = _order_awareness(encoder, entries, corpus, params, rng)
    report = {
        "definitions": _definitions(encoder, unseen, params, rng),
        "knn": {
            "category_of_definition": _categories(encoder, seen, unseen, params, rng),
            "author_of_sentence": _authors(encoder, corpus, params, rng),
        },
        "order_awareness": order,
    }
    artifacts.write_csv(paths.plots / "order_awareness.csv", changes)
    artifacts.write_metrics(paths.metrics("sentence_space"), report)


def _by_training(entries: Sequence[Synset], corpus: Corpus) -> tuple[list[Synset], list[Synset]]:
    """Synsets whose text is in the training split, and those whose text is not."""
    training = {name for name, split in zip(corpus.documents, corpus.splits, strict=True) if split == "train"}
    seen = [entry for entry in entries if f"wordnet/{entry.name}" in training]
    return seen, [entry for entry in entries if f"wordnet/{entry.name}" not in training]


def _draw(encoder: SpaceEncoder, entries: Sequence[Synset], count: int, rng: np.random.Generator) -> list[Synset]:
    """Draw synsets; those whose definition or example is too long for a vector are left out."""
    drawn = [entries[row] for row in np.sort(rng.permutation(len(entries))[:count]).tolist()]
    return [entry for entry in drawn if all(encoder.fits(text) for text in (entry.definition, *entry.examples[:1]))]


def _definitions(
    encoder: SpaceEncoder, unseen: Sequence[Synset], params: Params, rng: np.random.Generator
) -> dict[str, Any]:
    """Example sentence to its own synset's definition, among definitions that are not in the training split."""
    settings = params.sentence_space
    with_example = _draw(encoder, [entry for entry in unseen if entry.examples], settings.queries, rng)
    chosen = {entry.name for entry in with_example}
    others = _draw(encoder, [entry for entry in unseen if entry.name not in chosen], settings.definitions, rng)
    drawn = [*with_example, *others]
    order = rng.permutation(len(drawn))  # ties go to the first
    documents = encoder.encode([drawn[row].definition for row in order.tolist()], "definitions")
    queries = encoder.encode([entry.examples[0] for entry in with_example], "examples")
    report: dict[str, Any] = {"queries": len(with_example), "definitions": len(with_example) + len(others)}
    own = np.argsort(order)[: len(with_example)].tolist()
    return report | {name: probes.retrieval(queries[name], documents[name], own) for name in SPACES}


def _categories(
    encoder: SpaceEncoder, seen: Sequence[Synset], unseen: Sequence[Synset], params: Params, rng: np.random.Generator
) -> dict[str, Any]:
    """Lexicographer class of a definition by its nearest training definitions."""
    drawn = _draw(encoder, unseen, params.sentence_space.queries, rng)
    taken = {entry.name for entry in drawn}
    pool = seen or [entry for entry in unseen if entry.name not in taken]  # no dictionary in training: any others
    known = _draw(encoder, pool, params.sentence_space.definitions, rng)
    if not drawn or not known:
        return {"classes": 0}
    train = encoder.encode([entry.definition for entry in known], "training definitions")
    test = encoder.encode([entry.definition for entry in drawn], "test definitions")
    labels, wanted = [entry.category for entry in known], [entry.category for entry in drawn]
    report: dict[str, Any] = {"classes": len(set(labels)), "most_frequent": probes.most_frequent(labels, wanted)}
    return report | {name: probes.knn_accuracy(train[name], labels, test[name], wanted) for name in SPACES}


def _authors(encoder: SpaceEncoder, corpus: Corpus, params: Params, rng: np.random.Generator) -> dict[str, Any]:
    """Author of a sentence out of a book that is held out, by the nearest sentences of all other books."""
    books: dict[str, list[str]] = {}
    for document, text in zip(corpus.documents, corpus.texts, strict=True):
        if document.startswith("gutenberg/") and len(text.split()) in _SENTENCE_WORDS:
            books.setdefault(document.removeprefix("gutenberg/"), []).append(text)
    count = Counter(book.partition("-")[0] for book in books)
    kept = sorted(book for book in books if count[book.partition("-")[0]] >= _FEWEST_BOOKS)
    texts: list[str] = []
    names: list[str] = []
    for book in kept:
        rows = rng.permutation(len(books[book]))[: params.sentence_space.sentences_per_book].tolist()
        chosen = [books[book][row] for row in rows if encoder.fits(books[book][row])]
        texts += chosen
        names += [book] * len(chosen)
    authors = [name.partition("-")[0] for name in names]
    report: dict[str, Any] = {"books": len(kept), "authors": len(set(authors)), "sentences": len(texts)}
    if report["authors"] < 2:
        return report
    spaces = encoder.encode(texts, "sentences of books")
    report["chance"] = by_chance(authors, names)
    return report | {name: probes.knn_by_group(spaces[name], authors, names) for name in SPACES}


def by_chance(labels: Sequence[str], groups: Sequence[str]) -> float:
    """Accuracy of guessing a label at random, as often as rows of other groups have it, over all rows."""
    overall, within = Counter(labels), Counter(zip(groups, labels, strict=True))
    size = Counter(groups)
    hits = [
        (overall[label] - within[group, label]) / (len(labels) - size[group])
        for group, label in zip(groups, labels, strict=True)
    ]
    return sum(hits) / len(hits)


def _order_awareness(
    encoder: SpaceEncoder, entries: Sequence[Synset], corpus: Corpus, params: Params, rng: np.random.Generator
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Cosine of sentences with their changed versions, and how well a linear probe tells which is which."""
    import pandas as pd

    nouns = words_of(entries, encoder.lexicon, ("noun.person", "noun.animal"), _NOUNS)
    adjectives = words_of(entries, encoder.lexicon, ("adj.all",), _ADJECTIVES)
    test = {t for t, split in zip(corpus.texts, corpus.splits, strict=True) if split == "test"}
    natural = [text for text in sorted(test) if len(text.split()) in _SENTENCE_WORDS]
    natural = [natural[row] for row in rng.permutation(len(natural)).tolist() if encoder.fits(natural[row])]
    count = params.sentence_space.pairs
    made: dict[str, Pairs] = {
        "neighbours_swapped_natural": _changed(
            encoder, natural, count, lambda text: minimal_pairs.swap_neighbours(text, rng)
        ),
        "negation_natural": _changed(encoder, natural, count, minimal_pairs.negate),
    }
    if len(nouns) >= _FEWEST_WORDS:
        made["subject_and_object_swapped"] = minimal_pairs.subject_object(nouns, count, rng)
        made["negation"] = minimal_pairs.negation(nouns, count, rng)
        if len(adjectives) >= _FEWEST_WORDS:
            made["neighbours_swapped"] = minimal_pairs.neighbouring_words(adjectives, nouns, count, rng)
    report: dict[str, Any] = {"nouns": len(nouns), "adjectives": len(adjectives)}
    rows = []
    for name, drawn in made.items():
        pairs = _fitting(encoder, drawn)
        report[name] = {"pairs": len(pairs.original)}
        if not pairs.original:
            continue
        both = encoder.encode([*pairs.original, *pairs.changed], name.replace("_", " "))
        half = len(pairs.original)
        for space in SPACES:
            cosine = float(F.cosine_similarity(both[space][:half], both[space][half:]).mean())
            figures: dict[str, float] = {"cosine": cosine, "cosine_drop": 1.0 - cosine}
            figures |= probes.pair_probe(both[space], pairs.group, params.seed)
            report[name][space] = figures
            rows.append((name, space, cosine, figures["probe_accuracy"]))
    return report, pd.DataFrame(rows, columns=["change", "space", "cosine", "probe_accuracy"])


def _changed(encoder: SpaceEncoder, texts: Sequence[str], count: int, change: Callable[[str], str | None]) -> Pairs:
    """The first ``count`` texts that can be changed, each a group of its own."""
    pairs = Pairs([], [], [])
    for text in texts:
        other = change(text) if len(pairs.original) < count else None
        if other is not None and encoder.fits(other):
            pairs.group.append(len(pairs.group))
            pairs.original.append(text)
            pairs.changed.append(other)
    return pairs


def _fitting(encoder: SpaceEncoder, pairs: Pairs) -> Pairs:
    """Pairs of which neither sentence is too long for a vector."""
    both = zip(pairs.original, pairs.changed, strict=True)
    kept = [row for row, (a, b) in enumerate(both) if encoder.fits(a) and encoder.fits(b)]
    original, changed = ([values[row] for row in kept] for values in (pairs.original, pairs.changed))
    return Pairs(original, changed, [pairs.group[row] for row in kept])


def words_of(entries: Sequence[Synset], lexicon: Lexicon, categories: Sequence[str], most: int) -> list[str]:
    """The most used words of the lexicon that mean, in most of their senses, something of the given classes."""
    senses: Counter[str] = Counter()
    fitting: Counter[str] = Counter()
    for entry in entries:
        senses.update(set(entry.lemmas))
        if entry.category in categories:
            fitting.update(set(entry.lemmas))
    chosen = [
        unit
        for unit, (surface, kind) in enumerate(zip(lexicon.surfaces, lexicon.kinds, strict=True))
        if kind == "word" and surface.isalpha() and 2 * fitting[surface] > senses[surface]
    ]
    chosen.sort(key=lambda unit: (-int(lexicon.usage[unit]), unit))
    return [lexicon.surfaces[unit] for unit in chosen[:most]]
