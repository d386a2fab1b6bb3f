"""Exact match at the limit against its bars, the ablation table, and what noise does to the meaning.

Vectors are composed at each setting from the trained model's own unit codes: a narrower order part is the codes'
leading dimensions, at unit length again; a smaller lexicon is its most used units, a larger one has units of random
codes besides. The Selector is the trained one throughout. Lengths are never given.

    python benchmarks/frontier.py --wikitext wikitext2.valid.txt --texts 200 --out metrics/benchmarks/frontier.json
    python benchmarks/frontier.py --cells grid --texts 64          # the whole grid: hours
    python benchmarks/frontier.py --cells ablation --texts 64      # each part left out, in three cells

A bar that is missed is an exit status other than 0.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from rich.console import Console
from rich.table import Table

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.hashing import identity_codes
from lexivert.codes.token_head import TokenHead, head_codes
from lexivert.config import load_params
from lexivert.controller import baselines
from lexivert.controller.calibration import AT_ONCE
from lexivert.controller.cascade import Cascade
from lexivert.evaluation.corruptions import at_width, send, with_codes
from lexivert.evaluation.metrics import mean_cosine
from lexivert.evaluation.robustness import Cell, EvalSet, RobustnessSweep, eval_set_of, scored
from lexivert.evaluation.texts import texts_of
from lexivert.model import Lexivert
from lexivert.priors.base import Prior
from speed import wikitext_sentences

AMP, OWN = "amp_unigram", "controller"
BARS: dict[str, tuple[Cell, float | None]] = {
    "width 384": (Cell(width=384, rows=(AMP, OWN)), 0.995),
    "width 256": (Cell(width=256, rows=(AMP, OWN)), 0.97),
    "width 192": (Cell(width=192, rows=(AMP, OWN)), 0.85),
    "width 128": (Cell(width=128, rows=(AMP, OWN)), None),
    "cosine .8": (Cell(cosine=0.8, length=(1, 48), rows=(AMP, OWN)), 0.92),
    "cosine .7": (Cell(cosine=0.7, length=(1, 48), rows=(AMP, OWN)), 0.60),
    "sign": (Cell(storage="sign", rows=(AMP, OWN)), 0.95),
    "int8": (Cell(storage="int8", rows=(OWN,)), 0.995),
    "float16": (Cell(storage="float16", rows=(OWN,)), 0.995),
    "120 units": (Cell(length=(116, 124), rows=(OWN,)), 0.95),
    "250 units": (Cell(length=(244, 256), rows=(OWN,)), None),
}
"""Cells with the least exact match of the controller; None: no bar, for the record."""
ABLATION = {
    "width 192": Cell(width=192),
    "cosine .7": Cell(cosine=0.7, length=(1, 48)),
    "cosine .6": Cell(cosine=0.6, length=(1, 48)),
}


def grid() -> dict[str, tuple[Cell, float | None]]:
    """Width × noise, length, storage and lexicon, one after the other."""
    cells = [
        Cell(width=width, cosine=cosine)
        for width in (192, 256, 384, 512, 768, 1024, 0)
        for cosine in (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
    ]
    cells += [Cell(length=(length, length + 8)) for length in (8, 16, 32, 64, 128, 192)]
    cells += [Cell(storage=storage) for storage in ("float32", "float16", "int8", "sign")]
    cells += [Cell(units=units) for units in (10_000, 75_000, 300_000)]
    return {cell.name: (cell, None) for cell in cells}


def ablated(model: Lexivert, cell: Cell, root: Path, material: EvalSet, texts: int) -> dict[str, Any]:
    """The controller with one part left out at a time, on the same texts and noise."""
    params = load_params(root / "params.yaml")
    lexicon, full = model.encoder.segmenter.lexicon, model.decoder
    width = cell.width or full.codebook.codes.shape[1]
    head, features = TokenHead.load(Paths(root).token_head), artifacts.read_array(Paths(root).unit_features)
    learned = torch.from_numpy(head_codes(head, features)).half()
    own = torch.from_numpy(identity_codes(lexicon.surfaces, learned.shape[1], head.config.identity_seed)).half()
    chosen = material.of_length(cell.length, texts, len(lexicon))

    def build(codes: torch.Tensor) -> Cascade:
        return with_codes(full, at_width(codes, width), params.index, params.seed)

    whole = build(full.codebook.codes)
    flat = torch.full_like(full.codebook.log_prior, -math.log(len(lexicon)))
    variants: dict[str, Callable[[], Cascade]] = {
        "all": lambda: whole,
        "no semantic prefix": lambda: whole,
        "no Selector (unigram prior)": lambda: whole.changed(prior=Prior.fixed(full.codebook.log_prior)),
        "no unit prior at all": lambda: whole.changed(
            prior=Prior.fixed(flat), codebook=replace(whole.codebook, log_prior=flat)
        ),
        "no Placer (message passing alone)": lambda: Cascade(
            whole.proposer, whole.calibration, replace(whole.rules, clear=math.inf)
        ),
        "identity codes alone": lambda: build(own),
        "head codes alone": lambda: build(learned),
    }
    report: dict[str, Any] = {}
    for name, variant in variants.items():
        decoder = variant()
        order, semantic = send(
            chosen.units, chosen.semantic, decoder.codebook, cell.cosine, cell.storage, params.seed
        )
        if name == "no semantic prefix":
            semantic = torch.zeros_like(semantic)
        decoder.decode(order[:2], semantic[:2])  # what is made once, made before the clock runs
        start = time.perf_counter()
        found = decoder.decode_all(order, semantic, AT_ONCE, name).units
        rate = {"texts_per_second": len(found) / (time.perf_counter() - start)}
        report[name] = scored(chosen.units, found) | meaning(model, chosen, found) | rate
    order, _ = send(chosen.units, chosen.semantic, whole.codebook, cell.cosine, cell.storage, params.seed)
    hard = baselines.cancellation(order, whole.proposer.index, whole.codebook.binding)
    report["hard cancellation"] = scored(chosen.units, hard) | meaning(model, chosen, hard)
    return report


def meaning(model: Lexivert, chosen: EvalSet, found: list[list[int]]) -> dict[str, float]:
    """Backbone cosine of original and rebuilt texts, and of those alone that came back wrong."""
    join, backbone = model.encoder.segmenter.join, model.encoder.backbone
    before = torch.from_numpy(backbone.encode([join(units) for units in chosen.units]))
    after = torch.from_numpy(backbone.encode([join(units) for units in found]))
    wrong = [row for row, (a, b) in enumerate(zip(chosen.units, found, strict=True)) if a != b]
    report = {"backbone_cosine": mean_cosine(before, after)}
    if wrong:
        report["backbone_cosine_of_wrong"] = mean_cosine(before[wrong], after[wrong])
    return report


def materials(model: Lexivert, root: Path, wikitext: Path | None, count: int) -> dict[str, EvalSet]:
    """Own test documents, and sentences of a WikiText file if one is given."""
    own = [text for text in texts_of(Paths(root), "test") if len(text.split()) <= 40]
    found = {"test": eval_set_of(model.encoder, own, count, 0)}
    if wikitext is not None:
        found["wikitext"] = eval_set_of(model.encoder, list(wikitext_sentences(wikitext)), count, 0)
    return found


def main(
    root: Annotated[Path, typer.Option(help="Project folder after `dvc repro`.")] = Path(),
    wikitext: Annotated[Path | None, typer.Option(help="Text in WikiText's convention.")] = None,
    texts: Annotated[int, typer.Option(min=1, help="Texts a cell.")] = 200,
    cells: Annotated[Literal["bars", "grid", "ablation"], typer.Option(help="Which cells.")] = "bars",
    only: Annotated[str, typer.Option(help="Only cells whose name holds this.")] = "",
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Try cells, print a table, and fail where a bar is missed."""
    logging.basicConfig(level=logging.WARNING)
    model = Lexivert.load(root)
    report: dict[str, Any] = {}
    least: dict[str, float] = {}
    values: dict[str, float] = {}
    chosen = {"bars": BARS, "grid": grid()}.get(cells, {name: (cell, None) for name, cell in ABLATION.items()})
    for source, material in materials(model, root, wikitext, 8 * texts).items():
        frontier = RobustnessSweep(model.decoder, model.encoder.config.index, model.encoder.config.seed)
        for name, (cell, bar) in chosen.items():
            if only not in name:
                continue
            if cells == "ablation":
                rows = ablated(model, cell, root, material, texts)
            else:
                rows = frontier.run(cell, material, texts)
            key = f"{source} {name}"
            report[key] = rows
            show(key, rows)
            if bar is not None:
                values[key], least[key] = rows[OWN].get("exact_match", 0.0), bar
    if out is not None:
        artifacts.write_json(out, report)
    missed = [key for key, value in values.items() if value < least[key]]
    if missed:
        Console().print(f"[red]below its bar:[/] {', '.join(missed)}")
        raise typer.Exit(1)


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print one cell."""
    table = Table(title=title, title_justify="left")
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    for column in ("", *keys):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.4g}" if key in row else "" for key in keys))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
