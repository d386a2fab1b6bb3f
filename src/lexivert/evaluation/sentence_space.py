"""Stage ``sentence_space``: what the parts of a sentence vector are good for, without any data from a hub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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
from lexivert.evaluation import minimal_pairs, probes
from lexivert.evaluation.minimal_pairs import Pairs
from lexivert.evaluation.tables import Row, write_table
from lexivert.text.lexicon import Lexicon
from lexivert.text.tokenizer import normalize

SPACES = ("backbone", "prefix", "order", "full")
"""The bare backbone; the vector's semantic prefix; its order part; all of it."""
_NOUNS, _ADJECTIVES = 60, 40
_FEWEST_WORDS = 8  # of a class, for controlled sentences
_SENTENCE_WORDS = range(4, 31)
_FEWEST_BOOKS = 2  # of an author: one to learn from, one to be tested on

Spaces = dict[str, Tensor]


@dataclass(frozen=True)
class Corpus:
    """What the stage reads of the corpus: document, split and text of every sentence."""

    documents: list[str]
    splits: list[str]
    texts: list[str]


def run_sentence_space(paths: Paths, params: Params) -> None:
    """Write metrics/sentence_space.json and metrics/plots/order_awareness.csv."""
    encoder = Encoder.load(paths.root)
    table = artifacts.read_parquet(paths.corpus, ["doc_id", "split", "text"])
    corpus = Corpus(*(table[name].to_pylist() for name in ("doc_id", "split", "text")))
    entries = list(read_synsets(paths.wordnet))
    seen, unseen = _by_training(entries, corpus)
    rng = np.random.default_rng(params.seed)
    order, rows = _order_awareness(encoder, entries, corpus, params, rng)
    report = {
        "definitions": _definitions(encoder, unseen, params, rng),
        "knn": {
            "category_of_definition": _categories(encoder, seen, unseen, params, rng),
            "author_of_sentence": _authors(encoder, corpus, params, rng),
        },
        "order_awareness": order,
    }
    write_table(paths.plots / "order_awareness.csv", ["change", "space", "cosine", "probe_accuracy"], rows)
    artifacts.write_metrics(paths.metrics("sentence_space"), report)


def encode_spaces(encoder: Encoder, texts: Sequence[str], label: str) -> Spaces:
    """Vectors of texts in every space, at unit length. Shape: (B, S) twice, (B, O) and (B, D)."""
    texts = [normalize(text) for text in texts]
    features = torch.from_numpy(encoder.backbone.encode(texts, progress=label))
    vectors = encoder.compose(encoder.segment(texts), features)
    prefix, order = split_parts(vectors, encoder.config.semantic_width)
    return dict(zip(SPACES, (F.normalize(features, dim=-1), prefix, order, vectors), strict=True))


def _by_training(entries: Sequence[Synset], corpus: Corpus) -> tuple[list[Synset], list[Synset]]:
    """Synsets whose text is in the training split, and those whose text is not."""
    training = {name for name, split in zip(corpus.documents, corpus.splits, strict=True) if split == "train"}
    seen = [entry for entry in entries if f"wordnet/{entry.name}" in training]
    return seen, [entry for entry in entries if f"wordnet/{entry.name}" not in training]


def _draw(encoder: Encoder, entries: Sequence[Synset], count: int, rng: np.random.Generator) -> list[Synset]:
    """Draw synsets; those whose definition or example is too long for a vector are left out."""
    drawn = [entries[row] for row in np.sort(rng.permutation(len(entries))[:count]).tolist()]
    return [entry for entry in drawn if all(_fits(encoder, text) for text in (entry.definition, *entry.examples[:1]))]


def _fits(encoder: Encoder, text: str) -> bool:
    return len(encoder.segmenter.segment(text)) <= encoder.config.code.max_units


def _definitions(
    encoder: Encoder, unseen: Sequence[Synset], params: Params, rng: np.random.Generator
) -> dict[str, Any]:
    """Example sentence to its own synset's definition, among definitions that are not in the training split."""
    settings = params.sentence_space
    with_example = _draw(encoder, [entry for entry in unseen if entry.examples], settings.queries, rng)
    chosen = {entry.name for entry in with_example}
    others = _draw(encoder, [entry for entry in unseen if entry.name not in chosen], settings.definitions, rng)
    drawn = [*with_example, *others]
    order = rng.permutation(len(drawn))  # ties go to the first
    documents = encode_spaces(encoder, [drawn[row].definition for row in order.tolist()], "definitions")
    queries = encode_spaces(encoder, [entry.examples[0] for entry in with_example], "examples")
    report: dict[str, Any] = {"queries": len(with_example), "definitions": len(with_example) + len(others)}
    own = np.argsort(order)[: len(with_example)].tolist()
    return report | {name: probes.retrieval(queries[name], documents[name], own) for name in SPACES}


def _categories(
    encoder: Encoder, seen: Sequence[Synset], unseen: Sequence[Synset], params: Params, rng: np.random.Generator
) -> dict[str, Any]:
    """Lexicographer class of a definition by its nearest training definitions."""
    drawn = _draw(encoder, unseen, params.sentence_space.queries, rng)
    taken = {entry.name for entry in drawn}
    pool = seen or [entry for entry in unseen if entry.name not in taken]  # no dictionary in training: any others
    known = _draw(encoder, pool, params.sentence_space.definitions, rng)
    if not drawn or not known:
        return {"classes": 0}
    train = encode_spaces(encoder, [entry.definition for entry in known], "training definitions")
    test = encode_spaces(encoder, [entry.definition for entry in drawn], "test definitions")
    labels, wanted = [entry.category for entry in known], [entry.category for entry in drawn]
    report: dict[str, Any] = {"classes": len(set(labels)), "most_frequent": probes.most_frequent(labels, wanted)}
    return report | {name: probes.knn_accuracy(train[name], labels, test[name], wanted) for name in SPACES}


def _authors(encoder: Encoder, corpus: Corpus, params: Params, rng: np.random.Generator) -> dict[str, Any]:
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
        chosen = [books[book][row] for row in rows if _fits(encoder, books[book][row])]
        texts += chosen
        names += [book] * len(chosen)
    authors = [name.partition("-")[0] for name in names]
    report: dict[str, Any] = {"books": len(kept), "authors": len(set(authors)), "sentences": len(texts)}
    if report["authors"] < 2:
        return report
    spaces = encode_spaces(encoder, texts, "sentences of books")
    report["chance"] = by_chance(authors, names)
    return report | {name: probes.knn_by_group(spaces[name], authors, names) for name in SPACES}


def by_chance(labels: Sequence[str], groups: Sequence[str]) -> float:
    """Accuracy of guessing a label at random, as often as rows of other groups have it, over all rows."""
    whole, within = Counter(labels), Counter(zip(groups, labels, strict=True))
    size = Counter(groups)
    hits = [
        (whole[label] - within[group, label]) / (len(labels) - size[group])
        for group, label in zip(groups, labels, strict=True)
    ]
    return sum(hits) / len(hits)


def _order_awareness(
    encoder: Encoder, entries: Sequence[Synset], corpus: Corpus, params: Params, rng: np.random.Generator
) -> tuple[dict[str, Any], list[Row]]:
    """Cosine of sentences with their changed versions, and how well a linear probe tells which is which."""
    nouns = words_of(entries, encoder.segmenter.lexicon, ("noun.person", "noun.animal"), _NOUNS)
    adjectives = words_of(entries, encoder.segmenter.lexicon, ("adj.all",), _ADJECTIVES)
    held = [t for t, split in zip(corpus.texts, corpus.splits, strict=True) if split == "test"]
    natural = [text for text in sorted(set(held)) if len(text.split()) in _SENTENCE_WORDS]
    natural = [natural[row] for row in rng.permutation(len(natural)).tolist() if _fits(encoder, natural[row])]
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
    rows: list[Row] = []
    for name, drawn in made.items():
        pairs = _fitting(encoder, drawn)
        report[name] = {"pairs": len(pairs.original)}
        if not pairs.original:
            continue
        both = encode_spaces(encoder, [*pairs.original, *pairs.changed], name.replace("_", " "))
        half = len(pairs.original)
        for space in SPACES:
            cosine = float(F.cosine_similarity(both[space][:half], both[space][half:]).mean())
            figures: dict[str, float] = {"cosine": cosine, "cosine_drop": 1.0 - cosine}
            figures |= probes.pair_probe(both[space], pairs.group, params.seed)
            report[name][space] = figures
            rows.append([name, space, cosine, figures["probe_accuracy"]])
    return report, rows


def _changed(encoder: Encoder, texts: Sequence[str], count: int, change: Callable[[str], str | None]) -> Pairs:
    """The first ``count`` texts that can be changed, each a group of its own."""
    pairs = Pairs([], [], [])
    for text in texts:
        other = change(text) if len(pairs.original) < count else None
        if other is not None and _fits(encoder, other):
            pairs.group.append(len(pairs.group))
            pairs.original.append(text)
            pairs.changed.append(other)
    return pairs


def _fitting(encoder: Encoder, pairs: Pairs) -> Pairs:
    """Pairs of which neither sentence is too long for a vector."""
    both = zip(pairs.original, pairs.changed, strict=True)
    kept = [row for row, (a, b) in enumerate(both) if _fits(encoder, a) and _fits(encoder, b)]
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
