"""What a FAISS index costs at 300,000 units, and what is lost by each kind: time, bytes, latency, recall, exactness.

Vectors are this project's unit codes with random ones added, tiled to the width that is asked for where they are
narrower; queries are codes in noise, as a decoder meets them. Beside them, the same number of the backbone's 384-wide
features. Exactness: texts decoded by cancelling interference, every search through that index.

    python benchmarks/index.py --vectors 300000 --width 2048 --out metrics/benchmarks/index.json
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import Annotated

import faiss
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from common import run_command
from lexivert import artifacts
from lexivert.artifacts import UNIT_CODES, Paths
from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.superposition import superpose
from lexivert.evaluation.texts import texts_of
from lexivert.text.lexicon import EOS, Lexicon
from lexivert.text.segmentation import Segmenter

KINDS = ("Flat", "SQ8", "IVF1024,Flat", "HNSW32", "PQ64")
NPROBE, EF_SEARCH = 32, 128
QUERY_COSINE = 0.35
"""Cosine of a query with the code it was made of: about what a text of eight units leaves of one."""
_QUERIES = 256
_BATCH = 64
_REPEATS = 20  # single queries timed
_LONGEST = 20  # units of a text that is decoded

Array = npt.NDArray[np.float32]


def code_vectors(root: Path, count: int, width: int) -> Array:
    """Unit codes, then random directions; narrower codes filled up with random dimensions. Shape: (count, width)."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((count, width), dtype=np.float32) / np.float32(np.sqrt(width))
    codes = artifacts.read_array(Paths(root).index / UNIT_CODES, mmap=True)
    known, own = min(len(codes), count), min(codes.shape[1], width)
    vectors[:known, :own] = codes[:known, :own]
    return normalised(vectors)


def feature_vectors(root: Path, count: int) -> Array:
    """Backbone features of units, centred, and again with noise until there are enough. Shape: (count, H)."""
    rng = np.random.default_rng(0)
    features = artifacts.read_array(Paths(root).unit_features).astype(np.float32)
    features -= features.mean(0)
    rows = np.resize(features, (count, features.shape[1])).astype(np.float32)
    beyond = rows[len(features) :]
    beyond += features.std() * rng.standard_normal(beyond.shape, dtype=np.float32)
    return normalised(rows)


def normalised(vectors: Array) -> Array:
    """Rows at unit length, in place."""
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return vectors


def queries_of(vectors: Array, count: int, cosine: float) -> tuple[Array, npt.NDArray[np.int64]]:
    """Rows turned by a random direction to a cosine, and which rows. Shape: (count, W) and (count,)."""
    rng = np.random.default_rng(1)
    rows = rng.choice(len(vectors), count, replace=False)
    noise = normalised(rng.standard_normal((count, vectors.shape[1]), dtype=np.float32))
    return cosine * vectors[rows] + np.float32(np.sqrt(1 - cosine**2)) * noise, rows


def build(vectors: Array, kind: str) -> tuple[faiss.Index, float]:
    """An index and the seconds it took, training included."""
    start = time.perf_counter()
    index = faiss.index_factory(vectors.shape[1], kind, faiss.METRIC_INNER_PRODUCT)
    if not index.is_trained:
        rows = np.random.default_rng(2).choice(len(vectors), min(len(vectors), 64 * 1024), replace=False)
        index.train(vectors[np.sort(rows)])
    with tqdm(total=len(vectors), desc=f"building {kind}", unit="vector", unit_scale=True) as bar:
        for part in np.array_split(vectors, 20):
            index.add(part)
            bar.update(len(part))
    with contextlib.suppress(RuntimeError):  # an index without such a parameter
        faiss.ParameterSpace().set_index_parameter(index, "nprobe", NPROBE)
    with contextlib.suppress(RuntimeError):
        faiss.ParameterSpace().set_index_parameter(index, "efSearch", EF_SEARCH)
    return index, time.perf_counter() - start


def size_of(index: faiss.Index) -> int:
    """Bytes on disk."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        faiss.write_index(index, str(path))
        return path.stat().st_size


def latency(index: faiss.Index, queries: Array) -> tuple[float, float]:
    """Milliseconds a query alone, and in batches of 64 (median)."""
    index.search(queries[:1], 10)
    singles = []
    for row in range(_REPEATS):
        start = time.perf_counter()
        index.search(queries[row : row + 1], 10)
        singles.append(time.perf_counter() - start)
    batches = []
    for first in range(0, len(queries), _BATCH):
        start = time.perf_counter()
        index.search(queries[first : first + _BATCH], 10)
        batches.append((time.perf_counter() - start) / _BATCH)
    return 1000 * float(np.median(singles)), 1000 * float(np.median(batches))


def decoded_exactly(index: faiss.Index, vectors: Array, texts: list[list[int]]) -> float:
    """Share of texts, of known length, that hard cancellation reads back with this index as its only search."""
    width = vectors.shape[1]
    binding = RotaryBinding(width, _LONGEST + 1, seed=0)
    codes = torch.from_numpy(vectors)
    right = 0
    for units in texts:
        target = superpose([units], codes, binding)[0]
        places = torch.arange(len(units))
        guess: torch.Tensor | None = None
        end = binding.bind(codes[EOS][None], torch.tensor([len(units)]))[0]
        for _ in range(len(units) + 2):
            others = torch.zeros(len(units), width)
            if guess is not None:
                bound = binding.bind(codes[guess], places)
                others = bound.sum(0) - bound
            left = binding.unbind(target - end - others, places)
            found = torch.from_numpy(index.search(F.normalize(left, dim=1).numpy(), 1)[1][:, 0]).clamp_min(0)
            if guess is not None and bool((found == guess).all()):
                break
            guess = found
        right += guess is not None and guess.tolist() == units
    return right / len(texts)


def measure(vectors: Array, kinds: tuple[str, ...], texts: list[list[int]]) -> dict[str, dict[str, float]]:
    """All figures of every kind; texts only for unit codes."""
    queries, rows = queries_of(vectors, _QUERIES, QUERY_COSINE)
    exact = faiss.knn(queries, vectors, 10, faiss.METRIC_INNER_PRODUCT)[1]
    report: dict[str, dict[str, float]] = {}
    for kind in kinds:
        index, seconds = build(vectors, kind)
        alone, batch = latency(index, queries)
        found = index.search(queries, 10)[1]
        report[kind] = {
            "build_seconds": seconds,
            "megabytes": size_of(index) / 1e6,
            "milliseconds_alone": alone,
            "milliseconds_in_batch": batch,
            "recall_at_1": float((found[:, 0] == rows).mean()),
            "recall_at_10": float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)])),
        }
        if texts:
            report[kind]["decoded_exactly"] = decoded_exactly(index, vectors, texts)
    return report


def show(title: str, report: dict[str, dict[str, float]]) -> Table:
    """One row an index."""
    table = Table(title=title)
    table.add_column("index")
    for name in report["Flat" if "Flat" in report else next(iter(report))]:
        table.add_column(name.replace("_", " "), justify="right")
    for kind, figures in report.items():
        table.add_row(kind, *(f"{value:.3g}" if value < 1000 else f"{value:,.0f}" for value in figures.values()))
    return table


def main(
    root: Annotated[Path, typer.Option(help="Folder of a trained project.")] = Path(),
    vectors: Annotated[int, typer.Option(help="Vectors in each index.", min=70_000)] = 300_000,
    width: Annotated[int, typer.Option(help="Width of the unit codes.", min=64)] = 2048,
    texts: Annotated[int, typer.Option(help="Texts decoded with each index.", min=1)] = 40,
    kinds: Annotated[str, typer.Option(help="FAISS factory strings, separated by semicolons.")] = ";".join(KINDS),
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Measure, print, and write the figures."""
    segmenter = Segmenter(Lexicon.load(Paths(root).vocab))
    drawn = sorted(set(texts_of(Paths(root), "test")))
    order = np.random.default_rng(0).permutation(len(drawn)).tolist()
    units = (segmenter.segment(drawn[row]) for row in order)
    fitting = (text for text in units if 3 <= len(text) <= _LONGEST and max(text) < vectors)
    chosen = [text for text, _ in zip(fitting, range(texts), strict=False)]
    names = tuple(kinds.split(";"))
    report = {f"codes_{width}": measure(code_vectors(root, vectors, width), names, chosen)}
    features = feature_vectors(root, vectors)
    report[f"features_{features.shape[1]}"] = measure(features, names, [])
    for name, figures in report.items():
        Console(width=140).print(show(f"{vectors:,} vectors, {name.replace('_', ', ')} wide", figures))
    if out is not None:
        artifacts.write_metrics(out, report)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
