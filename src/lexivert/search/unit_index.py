"""Nearest units by inner product: a shortlist by cheap products, rescored with full codes.

The FAISS index may be of any kind. A Flat one compares every unit anyway, and that is done here, over a copy of the
codes in eight bits: in as few dimensions, and as few of the most frequent units, as the caller says is enough. A
code's leading dimensions already distinguish most units, and most words of a text are frequent ones. Other kinds are
searched by FAISS, in ``search_dims`` leading dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert import artifacts
from lexivert.config import IndexParams
from lexivert.errors import DamagedArtifactError
from lexivert.half_floats import float_parts, squared_lengths
from lexivert.search import faiss_index
from lexivert.search.faiss_index import FlatOverCodes
from lexivert.search.rough_scores import Logits, RoughScores

if TYPE_CHECKING:
    import faiss

INDEX_FILE = "units.faiss"
_SPARE = 4  # shortlisted beyond what is asked for, as rounding may swap neighbours
_RESCORED_AT_ONCE = 2048  # codes, of all queries together
_SCANNED_AT_ONCE, _COMPARED_AT_ONCE = 256, 128  # queries
_CODES_AT_ONCE = 8192  # compared with all queries of an exact search


class Hits(NamedTuple):
    """The k best units of m queries, best first.

    Attributes:
        scores: exact, -inf where fewer units were found. Shape: (m, k).
        units: -1 where fewer were found. Shape: (m, k).
    """

    scores: Tensor
    units: Tensor


class Compared(NamedTuple):
    """All units compared with m queries: the best by name, the others as one sum.

    Attributes:
        units: about the k best, in no order, -1 where fewer were found. Shape: (m, k).
        codes: of those units. Shape: (m, k, O) float32.
        scores: exact, -inf where fewer were found. Shape: (m, k).
        log_tail: log summed ``exp(score)`` of all other units. Shape: (m,).
        log_prior: log summed ``exp(prior logit)`` of all units. Shape: (m,).
    """

    units: Tensor
    codes: Tensor
    scores: Tensor
    log_tail: Tensor
    log_prior: Tensor


class UnitIndex:
    """Finds the units whose codes have the largest inner product with a query, or fit it best in noise.

    Args:
        codes: unit codes, on the device where searches are made. Shape: (V, O) float16.
        index: FAISS index over the codes' first ``index.d`` dimensions.
        params: search widths.

    Attributes:
        half_energies: half of each code's squared length. Shape: (V,).
        scans: whether the index is a plain Flat one, so that ``scan`` may compare all units.
        frequent: how many units count as frequent.
    """

    def __init__(self, codes: Tensor, index: faiss.Index | FlatOverCodes, params: IndexParams) -> None:
        if index.ntotal != len(codes) or index.d > codes.shape[1]:
            raise DamagedArtifactError(f"the FAISS index does not fit {len(codes)} unit codes; run `dvc repro index`")
        self.codes = codes
        self.params = params
        self._index = index
        self.half_energies = squared_lengths(codes) / 2
        faiss_index.set_search_width(index, params)
        self.frequent = min(params.frequent, len(codes))
        self.scans = faiss_index.is_flat(index)
        scanned = codes if self.scans else codes[: self.frequent]
        self._rough = RoughScores(scanned, self.half_energies)

    @classmethod
    def build(cls, codes: Tensor, params: IndexParams) -> UnitIndex:
        """Build the FAISS index that ``params.factory`` names, and search it. Shape: codes (V, O) float16.

        Raises:
            LexivertError: see ``faiss_index.build``.
        """
        return cls(codes, faiss_index.build(codes, params), params)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def searched_width(self) -> int:
        """Leading code dimensions that FAISS searches."""
        return int(self._index.d)

    def to(self, device: torch.device | str) -> UnitIndex:
        """The same index with its codes on a device."""
        moved = self.codes.to(device)
        return self if moved is self.codes else UnitIndex(moved, self._index, self.params)

    def search(self, queries: Tensor, k: int, prior: Logits | None = None) -> Hits:
        """The k best units of FAISS's shortlist, which is drawn up without the prior.

        Args:
            queries: Shape: (m, O).
            k: how many.
            prior: added to the scores. Other methods' shortlists have it in eight bits, but for the biases.

        Shape: result two (m, k).
        """
        found = faiss_index.shortlist(self._index, queries, max(k, self.params.shortlist))
        return self._best(queries, found, min(k, len(self)), prior)

    def scan(
        self,
        queries: Tensor,
        k: int,
        prior: Logits | None = None,
        *,
        width: int | None = None,
        first: int | None = None,
        biased: bool = True,
    ) -> Hits:
        """The k best units of an eight-bit shortlist.

        Args:
            queries: Shape: (m, O).
            k: how many.
            prior: see ``search``.
            width: leading code dimensions that the shortlist compares; all if None.
            first: compares the first so many units alone; all if None. Kinds other than Flat can do no more than the
                frequent ones.
            biased: whether the prior counts for the shortlist, too; where the best units stand out it need not.
                Energies count in any case, in proportion to the width.

        Shape: result two (m, k).

        Raises:
            ValueError: too many for an index that is not Flat.
        """
        count = min(first or len(self), len(self))
        if count > len(self._rough):
            raise ValueError(
                f"an index that is not Flat scans its {len(self._rough)} frequent units alone, not {count}"
            )
        k = min(k, count)
        most = min(k + k // 4 + _SPARE if biased else max(k, self.params.shortlist), count)
        parts = []
        for rows in _parts(len(queries), _SCANNED_AT_ONCE):
            some = prior and prior.rows(rows)
            units = self._rough.shortlist(queries[rows, :width], most, count, some, biased=biased)
            parts.append(self._best(queries[rows], units, k, some))
        return _joined(parts, queries, k)

    def compare(self, queries: Tensor, k: int, prior: Logits) -> Iterator[Compared]:
        """Compare all units, a part of the queries at a time, in order.

        The tail is of eight-bit products. Kinds other than Flat don't compare all units: there it is its expectation
        (the mean of a log-normal, or of what has no more evidence than the least that was found).

        Args:
            queries: natural parameters, evidence over noise variance. Shape: (m, O).
            k: units that are told by name.
            prior: see ``search``.
        """
        k = min(k, len(self))
        for rows in _parts(max(len(queries), 1), _COMPARED_AT_ONCE):
            some = prior.rows(rows)
            units, log_tail, log_prior = self._with_tail(queries[rows], k, some)
            codes = self.codes[units.clamp_min(0)].float()
            scores = self._exact(queries[rows], units, codes, some)
            if self.scans:  # no unit of the tail beats those told by name, however large the scores that are rounded
                log_tail = torch.minimum(log_tail, scores.amin(dim=1) + math.log(len(self)))
            yield Compared(units, codes, scores, log_tail, log_prior)

    def _with_tail(self, queries: Tensor, count: int, prior: Logits) -> tuple[Tensor, Tensor, Tensor]:
        """Likely best units; log summed exponentials of all other units' scores, and of all units' prior logits.

        Shape: queries (m, O), result (m, count), (m,) and (m,).
        """
        if not self.scans:
            return self._with_expected_tail(queries, count, prior)
        return self._rough.with_tail(queries, count, prior)

    def _with_expected_tail(self, queries: Tensor, count: int, prior: Logits) -> tuple[Tensor, Tensor, Tensor]:
        scores = prior.layer.logits(prior.queries)
        log_prior = scores.logsumexp(dim=1)
        units = faiss_index.shortlist(self._index, queries, count)
        own = scores.gather(1, units.clamp_min(0)).masked_fill(units < 0, -torch.inf)
        named = torch.exp(own.logsumexp(dim=1) - log_prior).clamp(max=1.0 - 1e-6)
        products = self._exact(queries, units, self.codes[units.clamp_min(0)].float(), None)
        lowest = products.masked_fill(units < 0, torch.inf).amin(dim=1)  # what was not found has less evidence
        expected = torch.minimum(queries.square().sum(dim=1) / (2 * queries.shape[1]), lowest)
        if prior.precision is not None:
            own -= prior.precision[:, None] * self.half_energies[units.clamp_min(0)]
            expected -= prior.precision * self.half_energies.mean()
        return units, log_prior + torch.log1p(-named) + expected, log_prior

    def _best(
        self, queries: Tensor, units: Tensor, k: int, prior: Logits | None, lengths: Tensor | None = None
    ) -> Hits:
        """The k best of some units by exact scores, over codes' lengths if given. Shape: (m, O), (m, n) to (m, k)."""
        scores = queries.new_empty(units.shape)
        for rows in _parts(len(units), _RESCORED_AT_ONCE // units.shape[1]):
            codes = self.codes[units[rows].clamp_min(0)].float()
            scores[rows] = self._exact(queries[rows], units[rows], codes, prior and prior.rows(rows))
        if lengths is not None:
            scores /= lengths[units]
        best, places = scores.topk(k, dim=1)
        return Hits(best, units.gather(1, places))

    def _exact(self, queries: Tensor, units: Tensor, codes: Tensor, prior: Logits | None) -> Tensor:
        """Exact scores of some units, -inf for none. Shape: (m, O), (m, k) and (m, k, O), result (m, k)."""
        scores = torch.bmm(codes, queries[:, :, None])[:, :, 0]
        if prior is not None:
            scores += prior.layer.some_logits(prior.queries, units)
            if prior.precision is not None:
                scores -= prior.precision[:, None] * self.half_energies[units.clamp_min(0)]
        return scores.masked_fill(units < 0, -torch.inf)

    def search_exact(self, queries: Tensor, k: int, prior: Logits | None = None) -> Hits:
        """The k best of all units by their full codes: slow, for single look-ups and comparison.

        Args and shapes: see ``search``.
        """

        def scored(part: slice, scores: Tensor) -> Tensor:
            if prior is None:
                return scores
            scores.addmm_(prior.queries, prior.layer.weight[part].T).add_(prior.layer.bias[part])
            if prior.precision is not None:
                scores.addr_(prior.precision, self.half_energies[part], alpha=-1.0)
            return scores

        return self._best_of_all(queries, k, scored)

    def nearest(self, queries: Tensor, k: int) -> Hits:
        """The k units of most cosine, which are the scores; of a Flat index those of an eight-bit shortlist.

        Shape: (m, O) to two (m, k).
        """
        unit, k = F.normalize(queries, dim=-1), min(k, len(self))
        lengths = (2.0 * self.half_energies).sqrt().clamp_min(1e-12)
        if not self.scans:
            return self._best_of_all(unit, k, lambda part, scores: scores.div_(lengths[part]))
        most, parts = min(k + k // 4 + _SPARE, len(self)), []
        for rows in _parts(len(unit), _SCANNED_AT_ONCE):
            units = self._rough.nearest(unit[rows], most, lengths)
            parts.append(self._best(unit[rows], units, k, None, lengths))
        return _joined(parts, queries, k)

    def _best_of_all(self, queries: Tensor, k: int, scored: Callable[[slice, Tensor], Tensor]) -> Hits:
        """The k best units by what is made of their inner products."""
        k = min(k, len(self))
        best = queries.new_empty(len(queries), 0)
        units = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
        for part, codes in float_parts(self.codes, _CODES_AT_ONCE):
            scores = scored(part, queries @ codes.T)
            scores, places = scores.topk(min(k, scores.shape[1]), dim=1)
            best, order = torch.cat((best, scores), dim=1).sort(dim=1, descending=True, stable=True)
            units = torch.cat((units, places + part.start), dim=1).gather(1, order)[:, :k]
            best = best[:, :k]
        return Hits(best, units)

    def save(self, folder: Path) -> None:
        """Write FAISS index and codes into an existing folder."""
        self.save_faiss(folder / INDEX_FILE)
        artifacts.write_array(folder / artifacts.UNIT_CODES, self.codes.cpu().numpy())

    def save_faiss(self, path: Path) -> None:
        """Write the FAISS index alone, in FAISS's own format."""
        faiss_index.write(self._index, path)

    @classmethod
    def load(cls, folder: Path, params: IndexParams, codes: Tensor | None = None) -> UnitIndex:
        """Read what ``save`` wrote; unit codes that are in memory already need not be read again.

        Raises:
            MissingArtifactError, DamagedArtifactError: a file is missing or damaged.
        """
        if codes is None:
            codes = torch.from_numpy(artifacts.read_array(folder / artifacts.UNIT_CODES))
        return cls(codes, faiss_index.read(folder / INDEX_FILE), params)


def _parts(count: int, size: int) -> Iterator[slice]:
    size = max(size, 1)
    return (slice(start, start + size) for start in range(0, count, size))


def _joined(parts: list[Hits], queries: Tensor, k: int) -> Hits:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Hits(queries.new_empty(0, k), torch.empty(0, k, dtype=torch.int64, device=queries.device))
    return Hits(torch.cat([part.scores for part in parts]), torch.cat([part.units for part in parts]))


def report(index: UnitIndex, seed: int, probes: int = 512) -> dict[str, float]:
    """Size of an index, and how often its shortlist holds what an exact search finds best.

    The probes are unit codes in Gaussian noise as strong as that of 24 other units: what a decoder asks at first.

    Returns:
        ``units``, ``code_width``, ``searched_width`` and ``recall_at_1``.
    """
    rng = np.random.default_rng(seed)
    width = index.codes.shape[1]
    chosen = rng.integers(len(index), size=min(probes, len(index)))
    noise = torch.from_numpy(rng.standard_normal((len(chosen), width)) * np.sqrt(24 / width))
    codes = index.codes[torch.from_numpy(chosen)].float()
    queries = (codes + noise.to(codes.device)).float()
    exact = index.search_exact(queries, 1).units
    search = partial(index.scan, width=index.searched_width, biased=False) if index.scans else index.search
    return {
        "units": len(index),
        "code_width": width,
        "searched_width": index.searched_width,
        "recall_at_1": float((exact == search(queries, 1).units).float().mean()),
    }
