"""Robustness sweep against its bars, the ablation table, and what noise does to the meaning.

Vectors are composed in each condition from the trained model's own unit codes: a narrower order part is the codes'
leading dimensions, at unit length again; a smaller lexicon is its most used units, a larger one has units of random
codes besides. The Selector is the trained one throughout. Lengths are never given.

    python benchmarks/robustness.py --wikitext wikitext2.valid.txt --out metrics/benchmarks/robustness.json
    python benchmarks/robustness.py --conditions grid --texts 64      # the entire grid: hours
    python benchmarks/robustness.py --conditions ablation --texts 64  # each part left out, in three conditions

A bar that is missed is an exit status other than 0.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

from common import given_file, run_command
from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.hashing import identity_codes
from lexivert.codes.power import unit_energies, with_energies
from lexivert.codes.token_head import TokenHead, head_codes
from lexivert.controller.base import Parts
from lexivert.controller.calibration import AT_ONCE
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation.corruptions import at_width, send, with_codes
from lexivert.evaluation.decoders import Decode, decoder_named, in_batches
from lexivert.evaluation.metrics import mean_cosine
from lexivert.evaluation.robustness import Condition, RobustnessSweep, condition_label, scored
from lexivert.evaluation.texts import draw_texts, encode_texts, texts_of
from lexivert.model import Lexivert
from lexivert.priors.unigram import flat, unigram
from speed import WORDS, wikitext_sentences

AMP, OWN = "amp_unigram", "cascade"
BARS: list[tuple[Condition, float | None]] = [
    (Condition(width=384, decoders=(AMP, OWN)), 0.995),
    (Condition(width=256, decoders=(AMP, OWN)), 0.97),
    (Condition(width=192, decoders=(AMP, OWN)), 0.85),
    (Condition(width=128, decoders=(AMP, OWN)), None),
    (Condition(cosine=0.9, length=(1, 48), decoders=(AMP, OWN)), 0.99),
    (Condition(cosine=0.8, length=(1, 48), decoders=(AMP, OWN)), 0.70),
    (Condition(cosine=0.7, length=(1, 48), decoders=(AMP, OWN)), None),
    (Condition(storage="sign", decoders=(AMP, OWN)), 0.95),
    (Condition(storage="int8", decoders=(OWN,)), 0.995),
    (Condition(storage="float16", decoders=(OWN,)), 0.995),
    (Condition(length=(116, 124), decoders=(OWN,)), 0.95),
    (Condition(length=(244, 256), decoders=(OWN,)), None),
]
"""Conditions with the least exact match of the cascade; None: no bar, for the record."""
ABLATION = [
    Condition(width=192),
    Condition(cosine=0.8, length=(1, 48)),
    Condition(cosine=0.7, length=(1, 48)),
]


def grid() -> list[Condition]:
    """Width × noise, length, storage and lexicon, one after the other."""
    conditions = [
        Condition(width=width, cosine=cosine)
        for width in (192, 256, 384, 512, 768, 1024, 0)
        for cosine in (1.0, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5)
    ]
    conditions += [Condition(length=(length, length + 8)) for length in (8, 16, 32, 64, 128, 192)]
    conditions += [Condition(storage=storage) for storage in ("float32", "float16", "int8", "sign")]
    conditions += [Condition(units=units) for units in (10_000, 75_000, 300_000)]
    return conditions


@dataclass(frozen=True)
class Variant:
    """A decoder with one part left out.

    Attributes:
        parts: what it is made of.
        algorithm: name in the registry; the model's own if empty.
        prefix: whether it is given the semantic prefix.
    """

    parts: Parts
    algorithm: str = ""
    prefix: bool = True

    def decoder(self) -> Decode:
        """What reads vectors back."""
        decode = decoder_named(self.algorithm or self.parts.params.algorithm, self.parts)
        return decode if self.prefix else lambda order, prefixes: decode(order, torch.zeros_like(prefixes))


def variants(model: Lexivert, root: Path, width: int) -> dict[str, Callable[[], Variant]]:
    """The model's decoder at a width, then with one part left out at a time; made when they are called.

    ``no_placer`` leaves out the easy-first loop, whose order of commits is the Placer; ``amp_selector`` the restarts,
    too, which is message passing alone.
    """
    lexicon, full, config = model.encoder.segmenter.lexicon, model.decoder.parts, model.encoder.config
    head, features = TokenHead.load(Paths(root).token_head), artifacts.read_array(Paths(root).unit_features)
    energies = unit_energies(full.codebook.log_prior.cpu(), config.code.surprisal_share, config.code.eos_energy)
    learned = with_energies(torch.from_numpy(head_codes(head, features)).half(), energies)
    own = torch.from_numpy(identity_codes(lexicon.surfaces, learned.shape[1], head.config.identity_seed)).half()
    own = with_energies(own, energies)

    def build(codes: Tensor) -> Parts:
        return with_codes(full, at_width(codes.to(full.codebook.device), width), config)

    everything, log_prior = build(full.codebook.codes), full.codebook.log_prior
    no_prior = flat(log_prior)
    rules = full.params.model_copy(
        update={"cascade": full.params.cascade.model_copy(update={"underloaded_from": math.inf})}
    )
    return {
        "all": lambda: Variant(everything),
        "no_semantic_prefix": lambda: Variant(everything, prefix=False),
        "no_selector": lambda: Variant(everything.with_prior(unigram(log_prior))),
        "no_unit_prior": lambda: Variant(
            replace(everything, prior=no_prior, codebook=replace(everything.codebook, log_prior=no_prior.output.bias))
        ),
        "no_placer": lambda: Variant(replace(everything, params=rules)),
        "amp_selector": lambda: Variant(everything, algorithm="amp_selector"),
        "identity_codes_alone": lambda: Variant(build(own)),
        "head_codes_alone": lambda: Variant(build(learned)),
        "hard_cancellation": lambda: Variant(everything, algorithm="cancellation"),
    }


def ablated(model: Lexivert, root: Path, condition: Condition, texts: EncodedTexts, count: int) -> dict[str, Any]:
    """All variants on the same texts and noise: scores, meaning of what was read, texts a second."""
    chosen = condition.texts(texts, count, len(model.index))
    if not len(chosen):
        return {"all": {"texts": 0}}
    report: dict[str, Any] = {}
    for name, make in variants(model, root, condition.width or model.decoder.codebook.width).items():
        variant = make()
        sent = send(
            chosen.units,
            chosen.prefixes,
            variant.parts.codebook,
            condition.cosine,
            condition.storage,
            model.encoder.config.seed,
        )
        decode = variant.decoder()
        decode(*(part[:2] for part in sent))  # what is made once, made before the clock runs
        start = time.perf_counter()
        found = in_batches(decode, sent, AT_ONCE, name)
        rate = {"texts_per_second": len(found) / (time.perf_counter() - start)}
        report[name] = scored(chosen.units, found) | meaning(model, chosen, found) | rate
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


def sources(model: Lexivert, root: Path, wikitext: str, count: int) -> dict[str, EncodedTexts]:
    """Own test documents, and sentences of a WikiText file if one is given."""
    given = {"test": [text for text in texts_of(Paths(root), "test") if len(text.split()) <= WORDS[1]]}
    if file := given_file(wikitext):
        given["wikitext"] = list(wikitext_sentences(file))
    return {name: encode_texts(model.encoder, draw_texts(texts, count, 0)) for name, texts in given.items()}


def below_bars(report: Mapping[str, Any]) -> list[str]:
    """Names of what the cascade reads less of than its bar asks for, or nothing; sources stand before conditions."""
    least = {condition.name: bar for condition, bar in BARS if bar is not None}
    bars = {key: least[key.partition("-")[2]] for key in report if key.partition("-")[2] in least}
    return [key for key, bar in bars.items() if not report[key][OWN].get("exact_match", 0.0) >= bar]


Tried = Callable[[Condition, EncodedTexts, int], dict[str, Any]]
"""A condition, texts to choose from and how many to scores by decoder."""


def measure(tried: Tried, encoded: Mapping[str, EncodedTexts], conditions: Sequence[Condition], texts: int) -> Any:
    """Try conditions on the texts of every source; gives scores by ``source-condition``, then decoder."""
    report: dict[str, Any] = {}
    for source, own in encoded.items():
        for condition in conditions:
            report[f"{source}-{condition.name}"] = rows = tried(condition, own, texts)
            show(f"{source}, {condition_label(condition.name)}", rows)
    return report


def main(
    root: Annotated[Path, typer.Option(help="Project folder after `dvc repro`.")] = Path(),
    wikitext: Annotated[str, typer.Option(help="File in WikiText's convention.")] = "",
    texts: Annotated[int, typer.Option(min=1, help="Texts in each condition.")] = 200,
    conditions: Annotated[Literal["bars", "grid", "ablation"], typer.Option(help="Which conditions.")] = "bars",
    only: Annotated[str, typer.Option(help="Only conditions whose name has this in it.")] = "",
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Try conditions, print a table of each, and fail where a bar is missed."""
    logging.basicConfig(level=logging.WARNING)
    model = Lexivert.load(root)
    all_of = {"bars": [condition for condition, _ in BARS], "grid": grid(), "ablation": ABLATION}
    longest = model.encoder.config.code.max_units
    named = [condition for condition in all_of[conditions] if only in condition.name]
    chosen = [condition for condition in named if condition.length[1] <= longest]
    sweep = RobustnessSweep(model.decoder.parts, model.encoder.config)
    tried = partial(ablated, model, root) if conditions == "ablation" else sweep.run
    report = measure(tried, sources(model, root, wikitext, 8 * texts), chosen, texts)
    if out is not None:
        artifacts.write_metrics(out, report)
    if conditions == "bars" and (missed := below_bars(report)):
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
    Console(width=140).print(table)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
