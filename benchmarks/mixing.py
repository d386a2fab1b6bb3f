"""The trade-off of ``code.semantic_share``, a: semantic quality of the full vector against decoding under noise.

Quality is retrieval on held-out WordNet synsets: an example sentence is the query, the definitions of all test
synsets are the documents, and its own synset's is the right one (MRR, and P@1). Both parts of a vector are of fixed
length, so the cosine of two full vectors is ``a · (prefix cosine) + (1 - a) · (order cosine)``: a = 1 is the bare
backbone embedding, a = 0 the order part alone.

Decoding reads test texts of 1 to 40 words, an equal number from each length bucket, with the trained controller after
noise on the full vector. The noise is the same draw for every a; a larger a leaves the order part less of the
signal.

    python benchmarks/mixing.py --texts 300 --out metrics/benchmarks/mixing.json

Needs a trained project on the embedded corpus.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer
from rich.console import Console
from rich.table import Table
from sklearn.metrics import (  # type: ignore[import-untyped]
    label_ranking_average_precision_score,
    top_k_accuracy_score,
)

from common import run_command
from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import join_parts, split_parts
from lexivert.data.wordnet import read_synsets
from lexivert.evaluation.metrics import LENGTH_BUCKETS, exact_match, wilson_interval
from lexivert.evaluation.texts import choose_texts, texts_of
from lexivert.model import Lexivert

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.9)
NOISE_COSINES = (0.9, 0.8, 0.7)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Retrieval:
    """Queries, documents, and which document each query is after.

    Attributes:
        examples: Q example sentences.
        definitions: D definitions, no two the same.
        own: row of the right definition. Shape: (Q,).
    """

    examples: list[str]
    definitions: list[str]
    own: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Cosines:
    """Cosines of every query with every document, part by part. Shape: two (Q, D)."""

    semantic: npt.NDArray[np.float32]
    order: npt.NDArray[np.float32]


def synsets(paths: Paths) -> Retrieval:
    """Definitions and examples of test synsets; a synset without an example still is a document.

    A definition that also stands in train is not in the test split, so WordNet's own files tell which sentence is the
    definition. Of synsets with the same definition the first is kept; a quotation's credit (``- Shakespeare``) is no
    example.
    """
    corpus = artifacts.read_parquet(paths.corpus, ["doc_id", "source", "split", "text"])
    rows = zip(*(corpus[name].to_pylist() for name in ("doc_id", "source", "split", "text")), strict=True)
    documents: dict[str, list[str]] = {}
    for name, source, split, text in rows:
        if (source, split) == ("glosses", "test"):
            documents.setdefault(name, []).append(text)
    glosses = {f"wordnet/{synset.name}": synset.sentences[:1] for synset in read_synsets(paths.wordnet)}
    place: dict[str, int] = {}
    examples, own = [], []
    for name, sentences in documents.items():
        definition = sentences[0]
        if [definition] != glosses[name] or definition in place:
            continue
        place[definition] = len(place)
        found = [sentence for sentence in sentences[1:] if not sentence.startswith("-")]
        examples += found
        own += [place[definition]] * len(found)
    return Retrieval(examples, list(place), np.array(own, dtype=np.int64))


def part_cosines(model: Lexivert, retrieval: Retrieval) -> Cosines:
    """Encode queries and documents once; every a is a weighted sum of what comes back."""
    width = model.encoder.config.semantic_width
    queries = split_parts(torch.from_numpy(model.encode(retrieval.examples, progress="examples")), width)
    documents = split_parts(torch.from_numpy(model.encode(retrieval.definitions, progress="definitions")), width)
    semantic, order = ((one @ other.T).numpy() for one, other in zip(queries, documents, strict=True))
    return Cosines(semantic, order)


def quality(cosines: Cosines, retrieval: Retrieval, share: float) -> dict[str, float]:
    """MRR and P@1 of the full vector. With one right document a query, average precision is the reciprocal rank."""
    scores = share * cosines.semantic + (1.0 - share) * cosines.order
    documents = np.arange(len(retrieval.definitions))
    right = retrieval.own[:, None] == documents
    return {
        "mrr": float(label_ranking_average_precision_score(right, scores)),
        "p_at_1": float(top_k_accuracy_score(retrieval.own, scores, k=1, labels=documents)),
    }


class Decoding:
    """Test texts, segmented and embedded once.

    Args:
        model: the trained model.
        texts: B normalised texts.
        seed: of the noise.
    """

    def __init__(self, model: Lexivert, texts: list[str], seed: int) -> None:
        self.model = model
        self.texts = texts
        self.seed = seed
        self.width = model.encoder.config.semantic_width
        self.parts = split_parts(torch.from_numpy(model.encode(texts, progress="texts")), self.width)

    def under_noise(self, share: float, cosine: float) -> dict[str, float]:
        """Exact match with its 95 % interval, and the mean cosine that is left to the order part."""
        clean = join_parts(*self.parts, share)
        generator = torch.Generator().manual_seed(self.seed)
        given = add_noise(clean, torch.full((len(clean),), cosine), generator)
        left = torch.cosine_similarity(split_parts(given, self.width)[1], self.parts[1], dim=1)
        rebuilt = self.model.decode(given.numpy())
        right = round(exact_match(self.texts, rebuilt) * len(rebuilt))
        low, high = wilson_interval(right, len(rebuilt))
        return {
            "exact_match": right / len(rebuilt),
            "exact_match_low": low,
            "exact_match_high": high,
            "order_cosine": float(left.mean()),
        }


def test_texts(model: Lexivert, paths: Paths, count: int, seed: int) -> list[str]:
    """About ``count`` texts of test documents, the same number from each length bucket."""
    chosen = choose_texts(texts_of(paths, "test"), -(-count // len(LENGTH_BUCKETS)), seed)
    encoder = model.encoder
    return [text for text in chosen if len(encoder.segmenter.segment(text)) <= encoder.config.code.max_units]


def measure(model: Lexivert, retrieval: Retrieval, decoding: Decoding) -> dict[str, Any]:
    """All rows of the table."""
    cosines = part_cosines(model, retrieval)
    report: dict[str, Any] = {
        "queries": len(retrieval.examples),
        "definitions": len(retrieval.definitions),
        "texts": len(decoding.texts),
        "units": len(model.index),
        "prefix_only": quality(cosines, retrieval, 1.0),
        "order_only": quality(cosines, retrieval, 0.0),
    }
    for share in SHARES:
        row: dict[str, Any] = quality(cosines, retrieval, share)
        row["mrr_to_prefix"] = row["mrr"] / report["prefix_only"]["mrr"]
        row |= {f"noise_{cosine:g}": decoding.under_noise(share, cosine) for cosine in NOISE_COSINES}
        report[f"share_{share:.2f}"] = row
        found = ", ".join(f"{row[f'noise_{cosine:g}']['exact_match']:.3f} at {cosine:g}" for cosine in NOISE_COSINES)
        log.info("a = %g: MRR %.3f, exact match %s", share, row["mrr"], found)
    return report


def show(report: dict[str, Any]) -> None:
    """Print one row for every a, with the two parts alone around them."""
    columns = [f"{what} {cosine:g}" for cosine in NOISE_COSINES for what in ("EM at", "order cosine at")]
    title = "{queries} examples to {definitions} definitions; {texts} texts, {units:,} units".format(**report)
    table = Table("a", "MRR", "of prefix's", "P@1", *columns, title=title)
    rows = {"order only": report["order_only"]}
    rows |= {f"{share:g}": report[f"share_{share:.2f}"] for share in SHARES}
    rows["prefix only"] = report["prefix_only"]
    for name, row in rows.items():
        kept = row["mrr"] / report["prefix_only"]["mrr"]
        noise = [row.get(f"noise_{cosine:g}") for cosine in NOISE_COSINES]
        decoded = [text for cell in noise for text in _cells(cell)]
        table.add_row(name, f"{row['mrr']:.3f}", f"{kept:.3f}", f"{row['p_at_1']:.3f}", *decoded)
    Console(width=118).print(table)


def _cells(noise: dict[str, float] | None) -> tuple[str, str]:
    if noise is None:
        return "", ""
    span = f"{noise['exact_match']:.3f} ({noise['exact_match_low']:.2f}-{noise['exact_match_high']:.2f})"
    return span, f"{noise['order_cosine']:.3f}"


def main(
    root: Annotated[Path, typer.Option(help="Folder of a trained project.")] = Path(),
    texts: Annotated[int, typer.Option(help="Texts decoded for every a and noise.", min=3)] = 300,
    synset_queries: Annotated[int, typer.Option(help="Most example sentences; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the texts drawn and of the noise.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Measure, print a table, and write the figures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    paths, model = Paths(root), Lexivert.load(root)
    found = synsets(paths)
    most = synset_queries or len(found.examples)
    retrieval = Retrieval(found.examples[:most], found.definitions, found.own[:most])
    report = measure(model, retrieval, Decoding(model, test_texts(model, paths, texts, seed), seed))
    if out is not None:
        artifacts.write_metrics(out, report)
    show(report)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
