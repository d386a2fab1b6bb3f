"""Where reading fails: exact match by order width, noise, length, storage and lexicon, for every decoder."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.config import IndexParams, Params, RobustnessParams
from lexivert.controller import baselines, storage
from lexivert.controller.amp import AmpDecoder
from lexivert.controller.cascade import Cascade
from lexivert.evaluation import metrics
from lexivert.evaluation.corruptions import at_width, send, with_codes, with_lexicon
from lexivert.evaluation.tables import write_table
from lexivert.evaluation.texts import Units, texts_of
from lexivert.priors.base import Prior
from lexivert.text.tokenizer import normalize

Decode = Callable[[Tensor, Tensor], Units]
_AT_ONCE = 32
ROWS = ("one_shot", "cancellation", "amp_flat", "amp_unigram", "selector", "selector_placer", "controller")
"""Decoders that are compared."""


@dataclass(frozen=True)
class Cell:
    """One setting.

    Attributes:
        width: order dimensions; 0: all the model has.
        cosine: of the noisy full vector with the clean one.
        length: least and most units of a text.
        storage: how the vector is kept.
        units: size of the lexicon; 0: the model's own.
        rows: decoders to compare.
    """

    width: int = 0
    cosine: float = 1.0
    length: tuple[int, int] = (1, 32)
    storage: str = "float32"
    units: int = 0
    rows: tuple[str, ...] = ROWS

    @property
    def name(self) -> str:
        """Key in the metrics."""
        parts = [f"width_{self.width}" if self.width else "width_default", f"cosine_{self.cosine:g}"]
        parts.append(f"units_{self.length[0]}_{self.length[1]}")
        parts.append(self.storage)
        if self.units:
            parts.append(f"lexicon_{self.units}")
        return "-".join(parts)


@dataclass(frozen=True)
class EvalSet:
    """Texts to decode.

    Attributes:
        units: T texts in units.
        semantic: their prefixes. Shape: (T, S).
    """

    units: Units
    semantic: Tensor

    def of_length(self, length: tuple[int, int], count: int, below: int) -> EvalSet:
        """The first ``count`` texts of a length, with unit ids below a bound; short ones are chained to be longer."""
        if length[0] > 40:
            return self._chained(length, count, below)
        rows = [
            row
            for row, text in enumerate(self.units)
            if length[0] <= len(text) <= length[1] and max(text, default=0) < below
        ][:count]
        return EvalSet([self.units[row] for row in rows], self.semantic[rows])

    def _chained(self, length: tuple[int, int], count: int, below: int) -> EvalSet:
        """Texts one behind the other; a chain's prefix is the length-weighted mean of its parts' (mean pooling)."""
        chains: Units = []
        prefixes: list[Tensor] = []
        chain: list[int] = []
        prefix = torch.zeros(self.semantic.shape[1])
        for text, own in zip(self.units, self.semantic, strict=True):
            if len(chain) + len(text) > length[1] or max(text, default=0) >= below:
                chain, prefix = [], torch.zeros_like(prefix)
                continue
            chain = chain + text
            prefix = prefix + own * len(text)
            if len(chain) >= length[0]:
                chains.append(chain)
                prefixes.append(prefix / prefix.norm())
                chain, prefix = [], torch.zeros_like(prefix)
            if len(chains) == count:
                break
        return EvalSet(chains, torch.stack(prefixes) if prefixes else self.semantic[:0])


@dataclass
class RobustnessSweep:
    """Cells tried on one model.

    Args:
        decoder: the model's controller.
        params: of its index.
        seed: of rotations and noise.
    """

    decoder: Cascade
    params: IndexParams
    seed: int
    matches: list[tuple[str, float, bool]] = field(default_factory=list)
    """Row, order dimensions a unit (EOS included) and exact match of every text that all rows tried without noise."""
    _built: tuple[tuple[int, int], Cascade] | None = None

    def run(self, cell: Cell, material: EvalSet, texts: int) -> dict[str, dict[str, float]]:
        """Decode one cell's texts with each of its rows.

        Returns:
            For every row: ``texts``, ``exact_match`` with its 95 % interval (``exact_match_low``,
            ``exact_match_high``; Wilson 1927), and ``unit_accuracy``.
        """
        decoder = self._decoder(cell)
        chosen = material.of_length(cell.length, texts, len(decoder.codebook.codes))
        order, semantic = send(chosen.units, chosen.semantic, decoder.codebook, cell.cosine, cell.storage, self.seed)
        report: dict[str, dict[str, float]] = {}
        decoders = rows_of(decoder)
        for row in cell.rows:
            found: Units = []
            bar = tqdm(
                range(0, len(chosen.units), _AT_ONCE), desc=f"{cell.name} {row}", unit="batch", mininterval=1.0
            )
            for start in bar:
                part = slice(start, start + _AT_ONCE)
                found += decoders[row](order[part], semantic[part])
            report[row] = scored(chosen.units, found)
            if cell.cosine == 1.0 and cell.storage == "float32" and not cell.units and set(cell.rows) == set(ROWS):
                for truth, read in zip(chosen.units, found, strict=True):
                    self.matches.append((row, order.shape[1] / (len(truth) + 1), truth == read))
        return report

    def _decoder(self, cell: Cell) -> Cascade:
        width = cell.width or self.decoder.codebook.codes.shape[1]
        key = (width, cell.units)
        if self._built is None or self._built[0] != key:
            self._built = None  # a lexicon's codes are hundreds of megabytes
            built = self.decoder
            if width != built.codebook.codes.shape[1]:
                built = with_codes(built, at_width(built.codebook.codes, width), self.params, self.seed)
            if cell.units and cell.units != len(built.codebook.codes):
                built = with_lexicon(built, cell.units, self.params, self.seed)
            self._built = (key, built)
        return self._built[1]


def scored(truth: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> dict[str, float]:
    """Exact match with its interval, and unit accuracy; without texts only their number."""
    if not truth:
        return {"texts": 0}
    right = sum(list(a) == list(b) for a, b in zip(truth, found, strict=True))
    low, high = metrics.wilson_interval(right, len(truth))
    return {
        "texts": len(truth),
        "exact_match": right / len(truth),
        "exact_match_low": low,
        "exact_match_high": high,
        "unit_accuracy": metrics.unit_accuracy(truth, found),
    }


def rows_of(decoder: Cascade) -> dict[str, Decode]:
    """Every decoder that stands beside the controller, for the same codes, and the controller."""
    codebook, index = decoder.codebook, decoder.proposer.index

    def passing(prior: Prior) -> Decode:
        loop = AmpDecoder(index, codebook, prior)
        return lambda order, semantic: loop.decode(order, semantic).units

    flat = torch.full_like(codebook.log_prior, -math.log(len(codebook.log_prior)))
    return {
        "one_shot": lambda order, _: baselines.one_shot(order, index, codebook.binding),
        "cancellation": lambda order, _: baselines.cancellation(order, index, codebook.binding),
        "amp_flat": passing(Prior.fixed(flat)),
        "amp_unigram": passing(Prior.fixed(codebook.log_prior)),
        "selector": passing(decoder.proposer.prior),
        "selector_placer": lambda order, semantic: decoder.incremental.decode(order, semantic).units,
        "controller": lambda order, semantic: decoder.decode(order, semantic).units,
    }


def by_dimensions(matches: Sequence[tuple[str, float, bool]], nats: float, units: int) -> list[dict[str, float]]:
    """Exact match by order dimensions a unit, with what theory asks for.

    The limits are steps from 0 to 1. ``limit_flat``: a unit's evidence beats all V others at once, ``2 ln V``
    dimensions (Frady, Kleyko & Sommer 2018). ``limit_prior``: it beats what the prior makes likely, ``2 H`` with H
    nats a unit. ``limit_soft``: half of that, where the interference of soft decoding is on average half gone.

    Args:
        matches: see ``RobustnessSweep.matches``; every row has every text.
        nats: H, the prior's surprise at a unit.
        units: V.
    """
    edges = [2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 24.0, 32.0, 48.0, 64.0, 128.0]
    limits = {"limit_flat": 2.0 * math.log(units), "limit_prior": 2.0 * nats, "limit_soft": nats}
    table: list[dict[str, float]] = []
    for low, high in itertools.pairwise(edges):
        inside = [match for match in matches if low <= match[1] < high]
        if not inside:
            continue
        line: dict[str, float] = {"dimensions_a_unit": (low + high) / 2}
        for row in dict.fromkeys(name for name, _, _ in matches):
            right = [match for name, _, match in inside if name == row]
            line[row] = sum(right) / len(right)
        line.update({name: float(line["dimensions_a_unit"] >= limit) for name, limit in limits.items()})
        table.append(line)
    return table


def default_cells(params: RobustnessParams) -> list[Cell]:
    """The small grid of the ``robustness`` stage."""
    quick = ("one_shot", "amp_unigram", "controller")
    cells = [Cell(width=width, rows=ROWS) for width in params.widths]
    cells += [Cell(cosine=cosine, length=(1, 40), rows=quick) for cosine in params.cosines]
    cells += [Cell(length=(length, length + 8), rows=quick) for length in params.lengths]
    cells += [Cell(storage=storage, rows=quick) for storage in params.storages]
    return cells


def run_robustness(paths: Paths, params: Params) -> None:
    """Write metrics/robustness.json and metrics/plots/robustness.csv."""
    encoder, decoder = storage.load_model(paths)
    test = [text for text in texts_of(paths, "test") if len(text.split()) <= 40]
    material = eval_set_of(encoder, test, 40 * params.robustness.texts, params.seed)
    frontier = RobustnessSweep(decoder, encoder.config.index, params.seed)
    report: dict[str, Any] = {}
    for cell in default_cells(params.robustness):
        report[cell.name] = frontier.run(cell, material, params.robustness.texts)
    artifacts.write_metrics(paths.metrics("robustness"), report)
    nats = -float(decoder.codebook.log_prior[[unit for text in material.units for unit in text]].mean())
    table = by_dimensions(frontier.matches, nats, len(decoder.codebook.codes))
    header = list(table[0]) if table else []
    write_table(paths.plots / "robustness.csv", header, [list(line.values()) for line in table])


def eval_set_of(encoder: Encoder, texts: Sequence[str], count: int, seed: int) -> EvalSet:
    """Draw texts, segment and embed them."""
    distinct = sorted({normalize(text) for text in texts})
    chosen = [distinct[row] for row in np.random.default_rng(seed).permutation(len(distinct))[:count]]
    units = [encoder.segmenter.segment(text) for text in chosen]
    kept = [row for row, text in enumerate(units) if text]
    semantic = torch.from_numpy(encoder.backbone.encode([chosen[row] for row in kept]))
    return EvalSet([units[row] for row in kept], F.normalize(semantic, dim=-1))
