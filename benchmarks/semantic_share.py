"""The trade-off of ``code.semantic_share``, a: how full vectors compare meanings against what reads back of them.

Both parts of a vector are of fixed length, so the cosine of two full vectors is ``a · (prefix cosine) + (1 - a) ·
(order cosine)``: a = 1 is the bare backbone embedding. Meaning is measured by

- retrieval on held-out WordNet synsets: an example sentence is the query, the definitions of all test synsets are the
  documents, and its own synset's is the right one (mean reciprocal rank);
- sentence pairs that people have scored, if an STS file is given: Spearman correlation of cosines with scores.

Reading back is exact match of test texts, and of WikiText sentences if a file is given, clean, stored in few bits,
and in noise on the full vector, of which a larger a leaves the order part less; and texts a second.

    python benchmarks/semantic_share.py --sts sts-b.dev.tsv --wikitext wikitext2.valid.txt --texts 200

Needs a trained project on the embedded corpus. Codes and prior are those of its own share; with that share, texts are
also read back from codes of equal power.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import torch
import typer
from rich.console import Console
from rich.table import Table
from scipy.stats import spearmanr  # type: ignore[import-untyped]
from sklearn.metrics import label_ranking_average_precision_score  # type: ignore[import-untyped]

from common import given_file, run_command
from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.power import with_energies
from lexivert.codes.superposition import split_parts
from lexivert.controller.base import Parts
from lexivert.controller.observation import Observation
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.data.wordnet import read_synsets
from lexivert.evaluation.corruptions import send, with_codes
from lexivert.evaluation.metrics import exact_match_report
from lexivert.evaluation.sts_files import Pair, read_pairs
from lexivert.model import Lexivert
from robustness import sources

SHARES = (0.2, 0.4, 0.6, 0.8, 0.9)
CONDITIONS = {
    "clean": (1.0, "float32"),
    "int8": (1.0, "int8"),
    "sign": (1.0, "sign"),
    "cosine_0.95": (0.95, "float32"),
    "cosine_0.9": (0.9, "float32"),
    "cosine_0.8": (0.8, "float32"),
    "cosine_0.7": (0.7, "float32"),
}
"""Cosine of full vectors with the clean ones, and how they are kept."""
BATCH = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cosines:
    """Cosines of pairs of texts, part by part. Shape: two of any same shape."""

    semantic: npt.NDArray[np.float32]
    order: npt.NDArray[np.float32]

    def full(self, share: float) -> npt.NDArray[np.float32]:
        """Cosines of full vectors with this semantic share."""
        return share * self.semantic + (1.0 - share) * self.order


@dataclass(frozen=True)
class Retrieval:
    """Queries, documents, and which document each query is after.

    Attributes:
        examples: Q example sentences.
        definitions: M definitions, no two the same.
        own: row of the right definition. Shape: (Q,).
    """

    examples: list[str]
    definitions: list[str]
    own: npt.NDArray[np.int64]

    def cosines(self, model: Lexivert) -> Cosines:
        """Of every query with every document. Shape: two (Q, M)."""
        queries, documents = _parts(model, self.examples), _parts(model, self.definitions)
        return Cosines(*((one @ other.T).numpy() for one, other in zip(queries, documents, strict=True)))

    def reciprocal_rank(self, cosines: npt.NDArray[np.float32]) -> float:
        """Mean over queries; with one right document, average precision is the reciprocal rank."""
        right = self.own[:, None] == np.arange(len(self.definitions))
        return float(label_ranking_average_precision_score(right, cosines))


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


def pair_cosines(model: Lexivert, pairs: list[Pair]) -> Cosines:
    """Of the two sentences of every pair. Shape: two (B,)."""
    first, second = (_parts(model, [getattr(pair, side) for pair in pairs]) for side in ("first", "second"))
    return Cosines(*((one * other).sum(dim=1).numpy() for one, other in zip(first, second, strict=True)))


def _parts(model: Lexivert, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Prefixes and order parts of unit length. Shape: (B, S) and (B, O)."""
    return split_parts(torch.from_numpy(model.encode(texts, progress="encoding")), model.semantic_width)


def meaning(model: Lexivert, paths: Paths, sts: str) -> dict[str, dict[str, float]]:
    """How well full vectors of each share, and prefixes alone, compare meanings."""
    retrieval = synsets(paths)
    of_synsets = retrieval.cosines(model)
    pairs = read_pairs(file) if (file := given_file(sts)) else []
    of_pairs = pair_cosines(model, pairs) if pairs else None
    report = {}
    for share in (*SHARES, 1.0):
        report[_name(share)] = {"reciprocal_rank": retrieval.reciprocal_rank(of_synsets.full(share))}
        if of_pairs is not None:
            correlation = spearmanr(of_pairs.full(share), [pair.score for pair in pairs]).statistic
            report[_name(share)]["sts_spearman"] = float(correlation)
    return report


def _name(share: float) -> str:
    return "prefix_only" if share == 1.0 else f"share_{share:g}"


def equal_power(model: Lexivert) -> Parts:
    """The model's parts with codes of unit length, whatever its ``code.surprisal_share``."""
    parts, config = model.decoder.parts, model.encoder.config
    return with_codes(parts, with_energies(parts.codebook.codes, 1.0 / parts.codebook.energies), config)


def reading(
    model: Lexivert, parts: Parts, texts: EncodedTexts, share: float, seed: int
) -> dict[str, dict[str, float]]:
    """Exact match with its 95 % interval, and texts a second, in each condition."""
    parts = replace(parts, codebook=replace(parts.codebook, semantic_share=share))
    decoder = model.decoder.with_parts(parts)
    report = {}
    for name, (cosine, storage) in CONDITIONS.items():
        order, prefix = send(texts.units, texts.prefixes, parts.codebook, cosine, storage, seed)
        observed, start = Observation.of(order, prefix), time.perf_counter()
        found = decoder.decode_all(observed, BATCH, f"a = {share:g}, {name}").units
        seconds = time.perf_counter() - start
        report[name] = exact_match_report(texts.units, found) | {"texts_per_second": len(texts) / seconds}
        exact, rate = (report[name][key] for key in ("exact_match", "texts_per_second"))
        log.info("a = %g, %s: exact match %.3f, %.1f texts/s", share, name, exact, rate)
    return report


def show(report: dict[str, Any]) -> None:
    """Print one row for every share and source of texts."""
    table = Table("a", "of", "MRR", "STS", *CONDITIONS, title="Semantic share: meaning, and exact match (texts/s)")
    for share, row in report.items():
        told = [f"{row[key]:.3f}" if key in row else "" for key in ("reciprocal_rank", "sts_spearman")]
        read = {name: cells for name, cells in row.items() if isinstance(cells, dict)}
        for source, cells in read.items() or [("", {})]:
            shown = [f"{one['exact_match']:.3f} ({one['texts_per_second']:.0f})" for one in cells.values()]
            table.add_row(share, source, *told, *shown)
    Console(width=150).print(table)


def main(
    root: Annotated[Path, typer.Option(help="Folder of a trained project.")] = Path(),
    texts: Annotated[int, typer.Option(help="Texts read of each source.", min=3)] = 200,
    sts: Annotated[str, typer.Option(help="STS file: score, sentence and sentence a line, with tabs.")] = "",
    wikitext: Annotated[str, typer.Option(help="File in WikiText's convention to read back.")] = "",
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Measure, print a table, and write the figures."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    paths, model = Paths(root), Lexivert.load(root)
    report: dict[str, Any] = meaning(model, paths, sts)
    encoded = sources(model, root, wikitext, texts)
    for share in SHARES:
        for source, own in encoded.items():
            report[_name(share)][source] = reading(model, model.decoder.parts, own, share, seed)
    share, equal = model.encoder.config.code.semantic_share, equal_power(model)
    report[f"{_name(share)}-equal_power"] = {
        source: reading(model, equal, own, share, seed) for source, own in encoded.items()
    }
    if out is not None:
        artifacts.write_metrics(out, report)
    show(report)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
