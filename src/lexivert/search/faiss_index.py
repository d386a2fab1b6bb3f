"""Nearest units by inner product: a shortlist, rescored with whole codes.

The FAISS index may be of any kind. A Flat one compares every unit anyway, and that is done here, over a copy of the
codes in eight bits: in as few dimensions, and as few of the most frequent units, as the caller says is enough. A
code's leading dimensions already tell most units apart, and most words of a text are frequent ones. Other kinds are
searched by FAISS, in ``search_dims`` leading dimensions.
"""

from __future__ import annotations

import contextlib
import re
import weakref
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import faiss
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.config import IndexParams
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.search.int8 import Int8Vectors
from lexivert.search.top_k import largest

# FAISS scans vector by vector below this many queries; a matrix product is several times faster from the first on.
faiss.cvar.distance_compute_blas_threshold = 1

Scores = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Bias = tuple[Tensor, Tensor]

INDEX_FILE = "units.faiss"
_GRAPH = re.compile("HNSW|NSG|NNDescent")
"""What the factory string of an index with a graph in it, such as ``IVF256_HNSW16,Flat``, holds."""
_SCORED_AT_ONCE = 8192
_SPARE = 4  # shortlisted beyond what is asked for, as rounding may swap neighbours
_RESCORED_AT_ONCE = 2048  # codes, of all queries together
_SCORES_AT_ONCE = 6_000_000  # what is smaller than 32 MiB is allocated once and used again (glibc's mmap threshold)


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


class Posterior(NamedTuple):
    """Where M queries point.

    Attributes:
        mean: probability-weighted sum of the codes of the k likeliest units. Shape: (M, O).
        units: those units, the likeliest first. Shape: (M, k).
        shares: their probabilities; what is missing to 1 is that of all others. Shape: (M, k).
        whole: log of the mean exponential of the inner product under the bias's own distribution. Shape: (M,).
    """

    mean: Tensor
    units: Tensor
    shares: Tensor
    whole: Tensor


class UnitIndex:
    """Finds the units whose codes have the largest inner product with a query.

    Args:
        codes: unit codes. Shape: (V, O) float16.
        index: FAISS index over the codes' first ``index.d`` dimensions.
        params: search widths.

    Attributes:
        scans: whether the index is a plain Flat one, so that ``scan`` may compare all units.
        frequent: how many units count as frequent.
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
        self.scans = type(faiss.downcast_index(index)) in {faiss.IndexFlat, faiss.IndexFlatIP}
        self._small = Int8Vectors(self._half if self.scans else self._half[: self.frequent])
        self._rounded: tuple[weakref.ref[Tensor], Int8Vectors] | None = None

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

    def search(self, queries: Scores, k: int, bias: Bias | None = None) -> tuple[Scores, Ids]:
        """Return the k best units of FAISS's shortlist: exact scores, best first.

        Args:
            queries: Shape: (M, O).
            k: how many.
            bias: of queries (M, R) and of units (V, R); their inner products are added to those of the codes, such as
                a log prior. The shortlist is drawn up without it. Other methods' shortlists have these products
                in eight bits, but for the last entry, which may be a unit's own bias and as large as it likes.

        Shape: result two (M, k), -inf and -1 where FAISS found too few.
        """
        wanted = _float(queries)
        shortlist = self._searched(wanted, max(k, self._shortlist))
        return self._best(wanted, shortlist, min(k, len(self)), bias)

    def scan(
        self,
        queries: Scores,
        k: int,
        bias: Bias | None = None,
        *,
        width: int | None = None,
        first: int | None = None,
        biased: bool = True,
    ) -> tuple[Scores, Ids]:
        """Return the k best units by an eight-bit shortlist: exact scores, best first.

        Args:
            queries: Shape: (M, O).
            k: how many.
            bias: see ``search``.
            width: leading code dimensions that the shortlist compares; all if None.
            first: compares the first so many units alone; all if None. Kinds other than Flat can do no more than the
                frequent ones.
            biased: whether the bias counts for the shortlist, too; where the best units stand out it need not.

        Shape: result two (M, k).

        Raises:
            ValueError: too many for an index that is not Flat.
        """
        wanted = _float(queries)
        count = min(first or len(self), len(self))
        if count > len(self._small):
            raise ValueError(
                f"an index that is not Flat scans its {len(self._small)} frequent units alone, not {count}"
            )
        k = min(k, count)
        best, ids = np.empty((len(wanted), k), dtype=np.float32), np.empty((len(wanted), k), dtype=np.int64)
        for rows in _parts(len(wanted), _SCORES_AT_ONCE // count):
            some = bias and (bias[0][rows], bias[1])
            rough: Tensor
            rough, factor = self._small.products(wanted[rows, :width], count)
            if some is not None and biased:
                rough = self._biases(some, count).addcmul_(rough, factor)
            shortlist = largest(rough, min(k + k // 4 + _SPARE if biased else max(k, self._shortlist), count))
            best[rows], ids[rows] = self._best(wanted[rows], shortlist, k, some)
        return best, ids

    def posterior(self, queries: Tensor, k: int, bias: Bias) -> Posterior:
        """Softmax of inner product plus bias over all units, with the mean code of the k best.

        Units that are not among them keep their probability as a whole, of what eight-bit products give; ``whole``
        rests on such products, too. Kinds other than Flat don't compare all units: those that were not found have
        its expectation (a log-normal mean).

        Args:
            queries: evidence over noise variance. Shape: (M, O).
            k: units that make up the mean.
            bias: see ``search``.
        """
        k = min(k, len(self))
        parts = []
        for rows in _parts(max(len(queries), 1), _SCORES_AT_ONCE // len(self)):
            some = (bias[0][rows], bias[1])
            units, rest, normaliser = self._weighed(queries[rows], k, some)
            codes = self._half[units.clamp_min(0)].float()
            logits = _exact(queries[rows], units, codes, some)
            whole = torch.logaddexp(logits.logsumexp(dim=1), rest)
            shares = torch.exp(logits - whole[:, None])
            ordered, places = shares.sort(dim=1, descending=True)
            mean = torch.bmm(shares[:, None, :], codes)[:, 0]
            parts.append(Posterior(mean, units.gather(1, places), ordered, whole - normaliser))
        return Posterior(*(torch.cat([getattr(part, name) for part in parts]) for name in Posterior._fields))

    def _searched(self, wanted: Tensor, count: int) -> Tensor:
        """FAISS's own best units, -1 where it found fewer. Shape: (M, O) to (M, count)."""
        leading = np.ascontiguousarray(wanted[:, : self.searched_width].numpy())
        return torch.from_numpy(self._index.search(leading, min(count, len(self)))[1])

    def _weighed(self, wanted: Tensor, count: int, bias: Bias) -> tuple[Tensor, Tensor, Tensor]:
        """Likely best units; log summed exponentials of all other units' scores; the same of all units' biases.

        Shape: wanted (M, O), result (M, count), (M,) and (M,).
        """
        scores = self._biases(bias, len(self)) if self.scans else bias[0] @ bias[1].T
        normaliser = scores.logsumexp(dim=1)
        if not self.scans:
            units = self._searched(wanted, count)
            own = scores.gather(1, units.clamp_min(0)).masked_fill(units < 0, -torch.inf)
            share = torch.exp(own.logsumexp(dim=1) - normaliser).clamp(max=1.0 - 1e-6)
            unseen = wanted.square().sum(dim=1) / (2 * wanted.shape[1])
            return units, normaliser + torch.log1p(-share) + unseen, normaliser
        products, factor = self._small.products(wanted)
        scores.addcmul_(products, factor)
        units, whole = largest(scores, count), scores.logsumexp(dim=1)
        share = torch.exp(scores.gather(1, units).logsumexp(dim=1) - whole).clamp(max=1.0 - 1e-6)
        return units, whole + torch.log1p(-share), normaliser

    def _biases(self, bias: Bias, count: int) -> Tensor:
        """Inner products of a bias's queries and first ``count`` units, in eight bits but for the last entry.

        Shape: queries (M, R) and units (V, R), result (M, count).
        """
        queries, table = bias
        scores = queries[:, -1:] * table[:count, -1]
        if table.shape[1] > 1:
            rounded = self._rounded
            if rounded is None or rounded[0]() is not table:
                rounded = self._rounded = (weakref.ref(table), Int8Vectors(table[:, :-1]))
            products, factor = rounded[1].products(queries[:, :-1], count)
            scores.addcmul_(products, factor)
        return scores

    def _best(self, wanted: Tensor, units: Tensor, k: int, bias: Bias | None) -> tuple[Scores, Ids]:
        """The k best of some units by exact scores, -inf where there is none. Shape: (M, O) and (M, n) to (M, k)."""
        scores = torch.empty(units.shape)
        for rows in _parts(len(units), _RESCORED_AT_ONCE // units.shape[1]):
            codes = self._half[units[rows].clamp_min(0)].float()
            scores[rows] = _exact(wanted[rows], units[rows], codes, bias and (bias[0][rows], bias[1]))
        best, places = scores.topk(k, dim=1)
        return best.numpy(), units.gather(1, places).numpy()

    def search_exact(self, queries: Scores, k: int, bias: Bias | None = None) -> tuple[Scores, Ids]:
        """Return the k best units of all by scoring every whole code: slow, for single look-ups and comparison.

        Args and shapes: see ``search``.
        """
        k = min(k, len(self))
        wanted = _float(queries)
        best, ids = torch.empty(len(wanted), 0), torch.empty(len(wanted), 0, dtype=torch.int64)
        for part in _parts(len(self), _SCORED_AT_ONCE):
            codes = self._half[part].float()
            scores = wanted @ codes.T
            if bias is not None:
                scores.addmm_(bias[0], bias[1][part].T)
            scores, places = scores.topk(min(k, len(codes)), dim=1)
            best, order = torch.cat((best, scores), dim=1).sort(dim=1, descending=True, stable=True)
            ids = torch.cat((ids, places + part.start), dim=1).gather(1, order)[:, :k]
            best = best[:, :k]
        return best.numpy(), ids.numpy()

    def save(self, folder: Path) -> None:
        """Write index and codes into an existing folder."""
        self.save_index(folder / INDEX_FILE)
        artifacts.write_array(folder / artifacts.UNIT_CODES, self.codes)

    def save_index(self, path: Path) -> None:
        """Write the FAISS index alone, in FAISS's format."""
        faiss.write_index(self._index, str(path))

    @classmethod
    def load(cls, folder: Path, params: IndexParams, codes: npt.NDArray[np.float16] | None = None) -> UnitIndex:
        """Read what ``save`` wrote; unit codes that are in memory already need not be read again.

        Raises:
            MissingArtifactError, DamagedArtifactError: a file is missing or damaged.
        """
        path = artifacts.require(folder / INDEX_FILE)
        if codes is None:
            codes = artifacts.read_array(folder / artifacts.UNIT_CODES)
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)  # read as far as it is used
        except RuntimeError as error:
            message = f"{path} is not a readable FAISS index; delete it and run `dvc repro index`"
            raise DamagedArtifactError(message) from error
        return cls(codes, index, params)


def _float(queries: Scores) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32))


def _parts(count: int, size: int) -> Iterator[slice]:
    size = max(size, 1)
    return (slice(start, start + size) for start in range(0, count, size))


def _exact(wanted: Tensor, units: Tensor, codes: Tensor, bias: Bias | None) -> Tensor:
    """Whole scores of some units, -inf for none. Shape: (M, O), (M, k) and (M, k, O), result (M, k)."""
    scores = torch.bmm(codes, wanted[:, :, None])[:, :, 0]
    if bias is not None:
        scores += torch.bmm(bias[1][units.clamp_min(0)], bias[0][:, :, None])[:, :, 0]
    return scores.masked_fill(units < 0, -torch.inf)


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
    exact = index.search_exact(queries, 1)[1]
    found = (partial(index.scan, width=index.searched_width, biased=False) if index.scans else index.search)(
        queries, 1
    )[1]
    return {
        "units": len(index),
        "code_width": width,
        "searched_width": index.searched_width,
        "recall_at_1": float((exact == found).mean()),
    }
