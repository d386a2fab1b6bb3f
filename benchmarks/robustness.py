"""Robustness sweep against its bars, the ablation table, and what noise does to the meaning.

Vectors are composed in each condition from the trained model's own unit codes: a narrower order part is the codes'
leading dimensions, at unit length again; a smaller lexicon is its most used units, a larger one has units of random
codes besides. The Selector is the trained one throughout. Lengths are never given.

    python benchmarks/robustness.py --wikitext wikitext2.valid.txt --texts 200 --out robustness.json
    python benchmarks/robustness.py --conditions grid --texts 64      # the entire grid: hours
    python benchmarks/robustness.py --conditions ablation --texts 64  # each part left out, in three conditions

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
from lexivert.controller.base import Parts
from lexivert.controller.calibration import AT_ONCE
from lexivert.controller.observation import Observation
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation.corruptions import at_width, send, with_codes
from lexivert.evaluation.decoders import decoder_named
from lexivert.evaluation.metrics import mean_cosine
from lexivert.evaluation.robustness import Condition, RobustnessSweep, scored
from lexivert.evaluation.texts import draw_texts, encode_texts, texts_of
from lexivert.model import Lexivert
from lexivert.priors.unigram import flat, unigram
from speed import wikitext_sentences

AMP, OWN = "amp_unigram", "cascade"
BARS: dict[str, tuple[Condition, float | None]] = {
    "width 384": (Condition(width=384, decoders=(AMP, OWN)), 0.995),
    "width 256": (Condition(width=256, decoders=(AMP, OWN)), 0.97),
    "width 192": (Condition(width=192, decoders=(AMP, OWN)), 0.85),
    "width 128": (Condition(width=128, decoders=(AMP, OWN)), None),
    "cosine .8": (Condition(cosine=0.8, length=(1, 48), decoders=(AMP, OWN)), 0.92),
    "cosine .7": (Condition(cosine=0.7, length=(1, 48), decoders=(AMP, OWN)), 0.60),
    "sign": (Condition(storage="sign", decoders=(AMP, OWN)), 0.95),
    "int8": (Condition(storage="int8", decoders=(OWN,)), 0.995),
    "float16": (Condition(storage="float16", decoders=(OWN,)), 0.995),
    "120 units": (Condition(length=(116, 124), decoders=(OWN,)), 0.95),
    "250 units": (Condition(length=(244, 256), decoders=(OWN,)), None),
}
"""Conditions with the least exact match of the cascade; None: no bar, for the record."""
ABLATION = {
    "width 192": Condition(width=192),
    "cosine .7": Condition(cosine=0.7, length=(1, 48)),
    "cosine .6": Condition(cosine=0.6, length=(1, 48)),
}


def grid() -> dict[str, tuple[Condition, float | None]]:
    """Width × noise, length, storage and lexicon, one after the other."""
    conditions = [
        Condition(width=width, cosine=cosine)
        for width in (192, 256, 384, 512, 768, 1024, 0)
        for cosine in (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
    ]
    conditions += [Condition(length=(length, length + 8)) for length in (8, 16, 32, 64, 128, 192)]
    conditions += [Condition(storage=storage) for storage in ("float32", "float16", "int8", "sign")]
    conditions += [Condition(units=units) for units in (10_000, 75_000, 300_000)]
    return {condition.name: (condition, None) for condition in conditions}


def ablated(model: Lexivert, condition: Condition, root: Path, texts: EncodedTexts, count: int) -> dict[str, Any]:
    """The cascade with one part left out at a time, on the same texts and noise."""
    lexicon, full, config = model.encoder.segmenter.lexicon, model.decoder.parts, model.encoder.config
    width = condition.width or full.codebook.width
    head, features = TokenHead.load(Paths(root).token_head), artifacts.read_array(Paths(root).unit_features)
    learned = torch.from_numpy(head_codes(head, features)).half()
    own = torch.from_numpy(identity_codes(lexicon.surfaces, learned.shape[1], head.config.identity_seed)).half()
    chosen = condition.texts(texts, count, len(lexicon))

    def build(codes: torch.Tensor) -> Parts:
        return with_codes(full, at_width(codes, width), config)

    everything = build(full.codebook.codes)
    no_prior = flat(full.codebook.log_prior)
    rules = full.params.model_copy(
        update={"cascade": full.params.cascade.model_copy(update={"underloaded_from": math.inf})}
    )
    variants: dict[str, Callable[[], Parts]] = {
        "all": lambda: everything,
        "no semantic prefix": lambda: everything,
        "no Selector (unigram prior)": lambda: everything.with_prior(unigram(full.codebook.log_prior)),
        "no unit prior at all": lambda: replace(
            everything, prior=no_prior, codebook=replace(everything.codebook, log_prior=no_prior.output.bias)
        ),
        "no easy-first loop (message passing alone)": lambda: replace(everything, params=rules),
        "identity codes alone": lambda: build(own),
        "head codes alone": lambda: build(learned),
    }
    report: dict[str, Any] = {}
    for name, variant in variants.items():
        parts = variant()
        sent = send(chosen.units, chosen.prefixes, parts.codebook, condition.cosine, condition.storage, config.seed)
        prefixes = torch.zeros_like(sent[1]) if name == "no semantic prefix" else sent[1]
        observed, decoder = Observation.of(sent[0], prefixes), model.decoder.with_parts(parts)
        decoder.decode(observed[:2])  # what is made once, made before the clock runs
        start = time.perf_counter()
        found = decoder.decode_all(observed, AT_ONCE, name).units
        rate = {"texts_per_second": len(found) / (time.perf_counter() - start)}
        report[name] = scored(chosen.units, found) | meaning(model, chosen, found) | rate
    sent = send(chosen.units, chosen.prefixes, everything.codebook, condition.cosine, condition.storage, config.seed)
    hard = decoder_named("cancellation", everything)(*sent)
    report["hard cancellation"] = scored(chosen.units, hard) | meaning(model, chosen, hard)
    return report


def meaning(model: Lexivert, chosen: EncodedTexts, found: list[list[int]]) -> dict[str, float]:
    """Backbone cosine of original and rebuilt texts, and of those alone that came back wrong."""
    join, backbone = model.encoder.segmenter.join, model.encoder.backbone
    before = torch.from_numpy(backbone.encode([join(units) for units in chosen.units]))
    after = torch.from_numpy(backbone.encode([join(units) for units in found]))
    wrong = [row for row, (a, b) in enumerate(zip(chosen.units, found, strict=True)) if a != b]
    report = {"backbone_cosine": mean_cosine(before, after)}
    if wrong:
        report["backbone_cosine_of_wrong"] = mean_cosine(before[wrong], after[wrong])
    return report


def sources(model: Lexivert, root: Path, wikitext: Path | None, count: int) -> dict[str, EncodedTexts]:
    """Own test documents, and sentences of a WikiText file if one is given."""
    given = {"test": [text for text in texts_of(Paths(root), "test") if len(text.split()) <= 40]}
    if wikitext is not None:
        given["wikitext"] = list(wikitext_sentences(wikitext))
    return {name: encode_texts(model.encoder, draw_texts(texts, count, 0)) for name, texts in given.items()}


def main(
    root: Annotated[Path, typer.Option(help="Project folder after `dvc repro`.")] = Path(),
    wikitext: Annotated[Path | None, typer.Option(help="Text in WikiText's convention.")] = None,
    texts: Annotated[int, typer.Option(min=1, help="Texts in each condition.")] = 200,
    conditions: Annotated[Literal["bars", "grid", "ablation"], typer.Option(help="Which conditions.")] = "bars",
    only: Annotated[str, typer.Option(help="Only conditions whose name has this in it.")] = "",
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Try conditions, print a table, and fail where a bar is missed."""
    logging.basicConfig(level=logging.WARNING)
    model = Lexivert.load(root)
    report: dict[str, Any] = {}
    least: dict[str, float] = {}
    values: dict[str, float] = {}
    single: dict[str, tuple[Condition, float | None]] = {name: (chosen, None) for name, chosen in ABLATION.items()}
    chosen = {"bars": BARS, "grid": grid(), "ablation": single}[conditions]
    for source, encoded in sources(model, root, wikitext, 8 * texts).items():
        sweep = RobustnessSweep(model.decoder.parts, model.encoder.config)
        for name, (condition, bar) in chosen.items():
            if only not in name:
                continue
            if conditions == "ablation":
                rows = ablated(model, condition, root, encoded, texts)
            else:
                rows = sweep.run(condition, encoded, texts)
            key = f"{source}-{condition.name}"
            report[key] = rows
            show(key, rows)
            if bar is not None:
                values[key], least[key] = rows[OWN].get("exact_match", 0.0), bar
    if out is not None:
        artifacts.write_metrics(out, report)
    missed = [key for key, value in values.items() if value < least[key]]
    if missed:
        Console().print(f"[red]below its bar:[/] {', '.join(missed)}")
        raise typer.Exit(1)


def show(title: str, rows: dict[str, dict[str, float]]) -> None:
    """Print one condition."""
    table = Table(title=title, title_justify="left")
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    for column in ("", *keys):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in rows.items():
        table.add_row(name, *(f"{row[key]:.4g}" if key in row else "" for key in keys))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
