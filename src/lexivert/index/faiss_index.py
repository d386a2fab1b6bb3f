"""Nearest units by inner product: a shortlist from the FAISS index, rescored with whole codes.

A code's leading dimensions already tell most units apart, so the FAISS index may hold only those (``search_dims``);
every hit is rescored with the whole code. A Flat index is scanned by one matrix product over FAISS's own storage, in
as few of its dimensions as the caller asks for; any other kind is searched by FAISS. The most frequent units are kept
apart in full: most words of a text are found there, at a tenth of the price.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import torch

from lexivert import artifacts
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.params import IndexParams

# FAISS scans vector by vector below this many queries; a matrix product is several times faster from the first on.
faiss.cvar.distance_compute_blas_threshold = 1

Scores = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

INDEX_FILE = "units.faiss"
_GRAPH = re.compile("HNSW|NSG|NNDescent")
"""What the factory string of an index with a graph in it, such as ``IVF256_HNSW16,Flat``, holds."""
_RESCORED_AT_ONCE = 128
_SCORED_AT_ONCE = 8192
_QUERIES_AT_ONCE = 256


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


def build(codes: npt.NDArray[np.float16], params: IndexParams) -> faiss.Index:
    """Build the FAISS index over the codes' leading dimensions; the same codes give the same bytes.

    Trained kinds use FAISS's fixed seeds. Threads that add to one graph race each other for its links, so graphs are
    built by one thread.

    Shape: codes (V, O).

    Raises:
        LexivertError: FAISS does not know the factory string, or can't train it on so few units.
    """
    dims = params.search_dims or codes.shape[1]
    vectors = np.ascontiguousarray(codes[:, :dims], dtype=np.float32)
    try:
        index = faiss.index_factory(vectors.shape[1], params.factory, faiss.METRIC_INNER_PRODUCT)
        with _one_thread() if _GRAPH.search(params.factory) else contextlib.nullcontext():
            if not index.is_trained:
                index.train(vectors)
            index.add(vectors)
    except RuntimeError as error:
        reason = str(error).split("Error: ")[-1].splitlines()[0]
        message = f"params.yaml: index.factory {params.factory!r} does not work for {len(codes)} units: {reason}"
        raise LexivertError(message) from error
    return index


class UnitIndex:
    """Finds the units whose codes have the largest inner product with a query.

    Args:
        codes: unit codes. Shape: (V, O) float16.
        index: FAISS index over the codes' first ``index.d`` dimensions.
        params: search widths.
    """

    def __init__(self, codes: npt.NDArray[np.float16], index: faiss.Index, params: IndexParams) -> None:
        if index.ntotal != len(codes) or index.d > codes.shape[1]:
            raise DamagedArtifactError(f"the FAISS index does not fit {len(codes)} unit codes; run `dvc repro index`")
        self.codes = codes
        self._half = torch.from_numpy(codes)
        self._index = index
        self._shortlist = params.shortlist
        self._set_search_width(params)
        self.frequent = min(params.frequent, len(codes))
        self._frequent = self._half[: self.frequent].float()
        self._flat = _storage(index)

    def _set_search_width(self, params: IndexParams) -> None:
        base = faiss.downcast_index(self._index)
        if isinstance(base, faiss.IndexPreTransform):  # "PCA64,IVF256,Flat"
            base = faiss.downcast_index(base.index)
        if isinstance(base, faiss.IndexIVF):
            base.nprobe = params.nprobe
        elif isinstance(base, faiss.IndexHNSW):
            base.hnsw.efSearch = params.ef_search

    @property
    def scans(self) -> bool:
        """Whether the index is Flat, so that a search may be of fewer dimensions and knows the bias."""
        return self._flat is not None

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def searched_width(self) -> int:
        """Leading code dimensions that FAISS searches."""
        return int(self._index.d)

    def search(
        self, queries: Scores, k: int, bias: tuple[Scores, Scores] | None = None, width: int | None = None
    ) -> tuple[Scores, Ids]:
        """Return the k best units of all: exact scores of the shortlisted, best first.

        Args:
            queries: Shape: (M, O).
            k: how many.
            bias: of queries (M,) and of units (V,); their product is added to the inner product, such as a log prior.
                A kind other than Flat draws up the shortlist without it.
            width: leading code dimensions searched, at most ``searched_width``; all of those if None. Flat alone can
                search fewer.

        Shape: result two (M, k).
        """
        k = min(k, len(self))
        if self._flat is None:
            _, ids = self._index.search(self._leading(queries), min(max(k, self._shortlist), len(self)))
        else:
            ids = self._scan(queries, min(width or self.searched_width, self.searched_width), k, bias)
        scores = self._rescore(queries, ids)
        if bias is not None:
            scores += bias[0][:, None] * bias[1][ids]
        return _best(scores, ids, k)

    def _leading(self, queries: Scores) -> Scores:
        return np.ascontiguousarray(queries[:, : self.searched_width], dtype=np.float32)

    def _scan(self, queries: Scores, width: int, k: int, bias: tuple[Scores, Scores] | None) -> Ids:
        """Shortlist by one matrix product over FAISS's own storage: three times as fast as FAISS's scan of it."""
        assert self._flat is not None
        wanted = torch.from_numpy(np.ascontiguousarray(queries[:, :width], dtype=np.float32))
        count = min(max(k, self._shortlist), len(self))
        parts = [np.empty((0, count), dtype=np.int64)]
        for start in range(0, len(wanted), _QUERIES_AT_ONCE):
            rows = slice(start, start + _QUERIES_AT_ONCE)
            scores = wanted[rows] @ self._flat[:, :width].T
            if bias is not None:
                scores.addr_(torch.from_numpy(bias[0][rows]), torch.from_numpy(bias[1]))
            parts.append(scores.topk(count, dim=1, sorted=False).indices.numpy())
        return np.concatenate(parts)

    def search_frequent(
        self, queries: Scores, k: int, bias: tuple[Scores, Scores] | None = None
    ) -> tuple[Scores, Ids]:
        """Return the k best among the ``frequent`` most used units, exactly; see ``search``.

        Shape: queries (M, O), result two (M, k).
        """
        scores = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32)) @ self._frequent.T
        if bias is not None:
            scores.addr_(torch.from_numpy(bias[0]), torch.from_numpy(bias[1][: self.frequent]))
        best, ids = scores.topk(min(k, self.frequent), dim=1)
        return best.numpy(), ids.numpy()

    def search_exact(self, queries: Scores, k: int, bias: tuple[Scores, Scores] | None = None) -> tuple[Scores, Ids]:
        """Return the k best units of all by scoring every whole code: slow, for loud noise and single look-ups.

        Args and shapes: see ``search``.
        """
        k = min(k, len(self))
        wanted = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32))
        best, ids = torch.empty(len(wanted), 0), torch.empty(len(wanted), 0, dtype=torch.int64)
        for start in range(0, len(self), _SCORED_AT_ONCE):
            codes = self._half[start : start + _SCORED_AT_ONCE].float()
            products = wanted @ codes.T
            if bias is not None:
                some = bias[1][start : start + _SCORED_AT_ONCE]
                products.addr_(torch.from_numpy(bias[0]), torch.from_numpy(some))
            scores, places = products.topk(min(k, len(codes)), dim=1)
            best, order = torch.cat((best, scores), dim=1).sort(dim=1, descending=True, stable=True)
            ids = torch.cat((ids, places + start), dim=1).gather(1, order)[:, :k]
            best = best[:, :k]
        return best.numpy(), ids.numpy()

    def _rescore(self, queries: Scores, ids: Ids) -> Scores:
        scores = np.full(ids.shape, -np.inf, dtype=np.float32)
        for start in range(0, len(ids), _RESCORED_AT_ONCE):
            part = slice(start, start + _RESCORED_AT_ONCE)
            codes = self._half[torch.from_numpy(ids[part].clip(0))].float()  # torch widens half floats much faster
            scores[part] = torch.bmm(codes, torch.from_numpy(queries[part, :, None]))[:, :, 0].numpy()
        scores[ids < 0] = -np.inf  # FAISS pads short answers with -1
        return scores

    def save(self, folder: Path) -> None:
        """Write index and codes into an existing folder."""
        faiss.write_index(self._index, str(folder / INDEX_FILE))
        artifacts.write_array(folder / artifacts.UNIT_CODES, self.codes)

    @classmethod
    def load(cls, folder: Path, params: IndexParams) -> UnitIndex:
        """Read what ``save`` wrote.

        Raises:
            MissingArtifactError, DamagedArtifactError: a file is missing or damaged.
        """
        path = artifacts.require(folder / INDEX_FILE)
        codes = artifacts.read_array(folder / artifacts.UNIT_CODES)
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            message = f"{path} is not a readable FAISS index; delete it and run `dvc repro index`"
            raise DamagedArtifactError(message) from error
        return cls(codes, index, params)


def _storage(index: faiss.Index) -> torch.Tensor | None:
    """FAISS's own copy of the vectors, not copied again, if it keeps them whole. Shape: (V, d)."""
    flat: Any = faiss.downcast_index(index)
    if type(flat) not in {faiss.IndexFlat, faiss.IndexFlatIP}:  # their kin may lay the vectors out differently
        return None
    stored = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d)
    return torch.from_numpy(stored.reshape(flat.ntotal, flat.d))


def _best(scores: Scores, ids: Ids, k: int) -> tuple[Scores, Ids]:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1).astype(np.int64)


def report(index: UnitIndex, seed: int, probes: int = 512) -> dict[str, float]:
    """Size of an index, and how often its shortlist holds what an exact search finds best.

    The probes are unit codes in Gaussian noise as strong as that of 24 other units: what a decoder asks at first.

    Returns:
        ``units``, ``code_width``, ``searched_width`` and ``recall_at_1``.
    """
    rng = np.random.default_rng(seed)
    width = index.codes.shape[1]
    chosen = rng.integers(len(index), size=min(probes, len(index)))
    noise = rng.standard_normal((len(chosen), width)) * np.sqrt(24 / width)
    queries = (index.codes[chosen].astype(np.float32) + noise).astype(np.float32)
    exact, found = index.search_exact(queries, 1)[1], index.search(queries, 1)[1]
    return {
        "units": len(index),
        "code_width": width,
        "searched_width": index.searched_width,
        "recall_at_1": float((exact == found).mean()),
    }
