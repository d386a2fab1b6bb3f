"""Nearest units by inner product: a FAISS shortlist, rescored with whole codes.

A code's leading dimensions already tell most units apart, so the FAISS index may hold only those (``search_dims``)
and be several times faster; every hit is rescored with the whole code. The most frequent units stand in a small index
of their own: most words of a text are found there, at a tenth of the price.
"""

from __future__ import annotations

from pathlib import Path

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
_RESCORED_AT_ONCE = 128
_SCORED_AT_ONCE = 8192


def build(codes: npt.NDArray[np.float16], params: IndexParams) -> faiss.Index:
    """Build the FAISS index over the codes' leading dimensions; trained kinds use FAISS's fixed seeds.

    Shape: codes (V, O).

    Raises:
        LexivertError: FAISS does not know the factory string, or can't train it on so few units.
    """
    dims = params.search_dims or codes.shape[1]
    vectors = np.ascontiguousarray(codes[:, :dims], dtype=np.float32)
    try:
        index = faiss.index_factory(vectors.shape[1], params.factory, faiss.METRIC_INNER_PRODUCT)
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
        self._frequent_index = faiss.IndexFlatIP(codes.shape[1])
        self._frequent_index.add(np.ascontiguousarray(codes[: self.frequent], dtype=np.float32))

    def _set_search_width(self, params: IndexParams) -> None:
        base = faiss.downcast_index(self._index)
        if isinstance(base, faiss.IndexPreTransform):  # "PCA64,IVF256,Flat"
            base = faiss.downcast_index(base.index)
        if isinstance(base, faiss.IndexIVF):
            base.nprobe = params.nprobe
        elif isinstance(base, faiss.IndexHNSW):
            base.hnsw.efSearch = params.ef_search

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def searched_width(self) -> int:
        """Leading code dimensions that FAISS searches."""
        return int(self._index.d)

    def search(self, queries: Scores, k: int) -> tuple[Scores, Ids]:
        """Return the k best units of all: exact inner products of the shortlisted, best first.

        Shape: queries (M, O), result two (M, k).
        """
        k = min(k, len(self))
        dims = self._index.d
        width = min(max(k, self._shortlist), len(self))
        shortened = np.ascontiguousarray(queries[:, :dims], dtype=np.float32)
        _, ids = self._index.search(shortened, width)
        return _best(self._rescore(queries, ids), ids, k)

    def search_frequent(self, queries: Scores, k: int) -> tuple[Scores, Ids]:
        """Return the k best among the ``frequent`` most used units, exactly.

        Shape: queries (M, O), result two (M, k).
        """
        found: tuple[Scores, Ids] = self._frequent_index.search(
            np.ascontiguousarray(queries, dtype=np.float32), min(k, self.frequent)
        )
        return found

    def search_exact(self, queries: Scores, k: int) -> tuple[Scores, Ids]:
        """Return the k best units of all by scoring every code: slow, for reference and single look-ups.

        Shape: queries (M, O), result two (M, k).
        """
        k = min(k, len(self))
        wanted = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32))
        best, ids = torch.empty(len(wanted), 0), torch.empty(len(wanted), 0, dtype=torch.int64)
        for start in range(0, len(self), _SCORED_AT_ONCE):
            codes = self._half[start : start + _SCORED_AT_ONCE].float()
            scores, places = (wanted @ codes.T).topk(min(k, len(codes)), dim=1)
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
