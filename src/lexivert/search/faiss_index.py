"""FAISS indexes over unit codes: built, written, read, and asked for shortlists.

FAISS works on the CPU in float32; queries and results are torch tensors on any device.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.config import IndexParams
from lexivert.errors import DamagedArtifactError, LexivertError

if TYPE_CHECKING:
    import faiss

_GRAPH = re.compile("HNSW|NSG|NNDescent")
"""What the factory string of an index with a graph in it, such as ``IVF256_HNSW16,Flat``, holds."""


def _faiss() -> Any:
    """The library, imported when it is first needed: it takes a tenth of a second."""
    import faiss as library

    # FAISS scans vector by vector below this many queries; a matrix product is faster from the first on.
    library.cvar.distance_compute_blas_threshold = 1
    return library


@contextlib.contextmanager
def _one_thread(library: Any) -> Iterator[None]:
    threads = library.omp_get_max_threads()
    library.omp_set_num_threads(1)
    try:
        yield
    finally:
        library.omp_set_num_threads(threads)


def check_factory(params: IndexParams, width: int) -> None:
    """Refuse a factory string that FAISS does not know, or that does not fit codes of a width.

    Raises:
        LexivertError: it is such a one.
    """
    library = _faiss()
    dims = min(params.search_dims or width, width)
    try:
        library.index_factory(dims, params.factory, library.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        reason = str(error).split("Error: ")[-1].splitlines()[0]
        message = f"index.factory {params.factory!r} does not work in {dims} dimensions: {reason}"
        raise LexivertError(message) from error


def build(codes: Tensor, params: IndexParams) -> faiss.Index:
    """Build the FAISS index over the codes' leading dimensions; the same codes give the same bytes.

    Trained kinds use FAISS's fixed seeds. Threads that add to one graph race each other for its links, so graphs are
    built by one thread.

    Shape: codes (V, O).

    Raises:
        LexivertError: FAISS does not know the factory string, or can't train it on so few units.
    """
    library = _faiss()
    vectors = np.ascontiguousarray(codes[:, : params.search_dims or codes.shape[1]].cpu().numpy(), dtype=np.float32)
    try:
        index: faiss.Index = library.index_factory(vectors.shape[1], params.factory, library.METRIC_INNER_PRODUCT)
        with _one_thread(library) if _GRAPH.search(params.factory) else contextlib.nullcontext():
            if not index.is_trained:
                index.train(vectors)
            index.add(vectors)
    except RuntimeError as error:
        reason = str(error).split("Error: ")[-1].splitlines()[0]
        message = f"index.factory {params.factory!r} does not work for {len(codes)} units: {reason}"
        raise LexivertError(message) from error
    return index


class FlatOverCodes:
    """A Flat index that is built when it is first searched: ``UnitIndex`` compares all codes itself and seldom asks.

    Args:
        codes: unit codes. Shape: (V, O).
        params: their ``factory`` is Flat.

    Attributes:
        ntotal: V.
        d: leading code dimensions that it searches.
    """

    def __init__(self, codes: Tensor, params: IndexParams) -> None:
        self.ntotal, width = codes.shape
        self.d = min(params.search_dims or width, width)
        self._build = partial(build, codes, params)

    @cached_property
    def built(self) -> faiss.Index:
        """The index itself."""
        return self._build()

    def search(self, queries: npt.NDArray[np.float32], count: int) -> Any:
        """Scores and numbers of the best, as of a FAISS index. Shape: (m, d) to two (m, count)."""
        return self.built.search(queries, count)


def is_flat(index: faiss.Index | FlatOverCodes) -> bool:
    """Whether an index compares every vector in full anyway."""
    if isinstance(index, FlatOverCodes):
        return True
    library = _faiss()
    return type(library.downcast_index(index)) in {library.IndexFlat, library.IndexFlatIP}


def set_search_width(index: faiss.Index | FlatOverCodes, params: IndexParams) -> None:
    """Set how widely an IVF or HNSW index searches."""
    if isinstance(index, FlatOverCodes):
        return
    library = _faiss()
    base = library.downcast_index(index)
    if isinstance(base, library.IndexPreTransform):  # "PCA64,IVF256,Flat"
        base = library.downcast_index(base.index)
    if isinstance(base, library.IndexIVF):
        base.nprobe = params.nprobe
    elif isinstance(base, library.IndexHNSW):
        base.hnsw.efSearch = params.ef_search


def shortlist(index: faiss.Index | FlatOverCodes, queries: Tensor, count: int) -> Tensor:
    """FAISS's own best units by leading dimensions, -1 where it found fewer. Shape: (m, O) to (m, count)."""
    leading = np.ascontiguousarray(queries[:, : index.d].cpu().numpy(), dtype=np.float32)
    found = index.search(leading, min(count, index.ntotal))[1]
    return torch.from_numpy(found).to(queries.device)


def write(index: faiss.Index | FlatOverCodes, path: Path) -> None:
    """Write an index in FAISS's own format."""
    _faiss().write_index(index.built if isinstance(index, FlatOverCodes) else index, str(path))


def read(path: Path) -> faiss.Index:
    """Read what ``write`` wrote, mapped into memory: read as far as it is used.

    Raises:
        MissingArtifactError, DamagedArtifactError: it is missing or damaged.
    """
    library = _faiss()
    artifacts.require(path)
    try:
        index: faiss.Index = library.read_index(str(path), library.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        message = f"{path} is not a readable FAISS index; delete it and run `dvc repro index`"
        raise DamagedArtifactError(message) from error
    return index
