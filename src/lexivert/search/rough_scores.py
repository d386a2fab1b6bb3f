"""Rough scores of all units, by eight-bit products: a shortlist of the best, and what all others weigh together.

Scores are made in blocks of units that stay in a processor's cache until prior and energies are added, and many
queries at a time, since each product has to read all codes once. Of a stretch of blocks only the best are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lexivert.search.int8 import Int8Vectors
from lexivert.search.output_layer import OutputLayer
from lexivert.search.top_k import top_k_columns

_BLOCK = 2048  # units: their scores stay in the cache
_STRETCH = 16384  # units whose scores are in memory at a time


class Logits(NamedTuple):
    """What is added to the inner products of codes: the prior's logits, and what the codes' energies take off.

    In Gaussian noise of variance v a code c has the log likelihood ratio ``<e, c> / v - |c|² / 2v`` against no code.

    Attributes:
        queries: Shape: (m, H).
        layer: unit vectors and biases.
        precision: 1/v of each query; None leaves energies out of the scores, which is right where all are the same.
            Shape: (m,).
    """

    queries: Tensor
    layer: OutputLayer
    precision: Tensor | None = None

    def rows(self, part: slice | Tensor) -> Logits:
        """Those of some queries."""
        return Logits(self.queries[part], self.layer, None if self.precision is None else self.precision[part])


class _Stretch(NamedTuple):
    start: int
    scores: Tensor  # (m, n)
    log_sums: tuple[Tensor, Tensor]  # (m,) log summed exponentials of scores and of the prior's logits, if asked for


class RoughScores:
    """Scores units in eight bits.

    Args:
        codes: Shape: (V, O) float16.
        half_energies: half of each code's squared length. Shape: (V,).
    """

    def __init__(self, codes: Tensor, half_energies: Tensor) -> None:
        self._codes = Int8Vectors(codes)
        self._half_energies = half_energies
        self._width = codes.shape[1]
        self._on_cpu = codes.device.type == "cpu"

    def __len__(self) -> int:
        return len(self._codes)

    def shortlist(self, queries: Tensor, most: int, count: int, prior: Logits | None, *, biased: bool) -> Tensor:
        """The best of the first units, in no order.

        Args:
            queries: in as many dimensions as are to be compared. Shape: (m, w).
            most: how many are wanted.
            count: of the units that are compared.
            prior: added to the scores.
            biased: whether its logits are, or the energies alone.

        Shape: (m, most).
        """
        return self._kept(self._stretches(queries, count, prior, biased=biased), most)[0]

    def nearest(self, queries: Tensor, most: int, lengths: Tensor) -> Tensor:
        """The units of most cosine, in no order. Shape: queries (m, O), the codes' lengths (V,), result (m, most)."""

        def cosines() -> Iterator[_Stretch]:
            for stretch in self._stretches(queries, len(self), None, biased=False):
                stretch.scores.div_(lengths[stretch.start : stretch.start + stretch.scores.shape[1]])
                yield stretch

        return self._kept(cosines(), most)[0]

    def with_tail(self, queries: Tensor, most: int, prior: Logits) -> tuple[Tensor, Tensor, Tensor]:
        """The best units; log summed exponentials of all others' scores, and of all units' prior logits.

        Shape: queries (m, O), result (m, most), (m,) and (m,).
        """
        none = queries.new_full((len(queries),), -torch.inf)
        sums = [none, none]

        def summed() -> Iterator[_Stretch]:
            for stretch in self._stretches(queries, len(self), prior, biased=True, summed=True):
                sums[:] = map(torch.logaddexp, sums, stretch.log_sums)
                yield stretch

        units, scores = self._kept(summed(), most)
        named = torch.exp(scores.logsumexp(dim=1) - sums[0]).clamp(max=1.0 - 1e-6)
        return units, sums[0] + torch.log1p(-named), sums[1]

    def _kept(self, stretches: Iterator[_Stretch], most: int) -> tuple[Tensor, Tensor]:
        """The best units of all stretches and their scores. Shape: two (m, most)."""
        units, scores = [], []
        for start, own, _ in stretches:
            columns = top_k_columns(own, min(most, own.shape[1]))
            units.append(columns + start)
            scores.append(own.gather(1, columns))
        if len(units) == 1:
            return units[0], scores[0]
        best, places = torch.cat(scores, dim=1).topk(most, dim=1, sorted=False)
        return torch.cat(units, dim=1).gather(1, places), best

    def _stretches(
        self, queries: Tensor, count: int, prior: Logits | None, *, biased: bool, summed: bool = False
    ) -> Iterator[_Stretch]:
        rounded = self._codes.rounded(queries)
        asked = prior.layer.rounded(prior.queries) if prior is not None and biased else None
        share = min(queries.shape[1] / self._width, 1.0)
        long, short = (_STRETCH, _BLOCK) if self._on_cpu else (count, count)
        for start in range(0, count, max(long, 1)):
            stop = min(start + long, count)
            scores = queries.new_empty(len(queries), stop - start)
            sums: tuple[list[Tensor], list[Tensor]] = ([], [])
            for first in range(start, stop, max(short, 1)):
                part = slice(first, min(first + short, stop))
                block = self._codes.block(rounded, part).float().mul_(rounded.factor)
                logits = None
                if prior is not None and asked is not None:
                    logits = prior.layer.block(asked, part)
                    block += logits
                if prior is not None and prior.precision is not None:
                    block.addr_(prior.precision, self._half_energies[part], alpha=-share)
                scores[:, part.start - start : part.stop - start] = block
                if summed and logits is not None:
                    sums[0].append(_log_sum_(block))
                    sums[1].append(_log_sum_(logits))
            yield _Stretch(start, scores, (_joined(sums[0], queries), _joined(sums[1], queries)))


def _log_sum_(values: Tensor) -> Tensor:
    """Log summed exponentials of rows, whose memory is used up: they are in the cache. Shape: (m, n) to (m,)."""
    most = values.amax(dim=1, keepdim=True).clamp_min(torch.finfo(values.dtype).min)
    return values.sub_(most).exp_().sum(dim=1).log_().add_(most[:, 0])


def _joined(sums: list[Tensor], queries: Tensor) -> Tensor:
    """Log sums of all blocks; -inf where there are none. Shape: (m,)."""
    return torch.stack(sums).logsumexp(dim=0) if sums else queries.new_full((len(queries),), -torch.inf)
