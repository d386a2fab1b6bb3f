"""Rates of a trained model, its semantic prefix, and exact match on WikiText, each against its bar.

Encoding takes turns with the bare backbone in one process: every round runs both on the same texts, new in each
round, now one first and now the other, and the median of the rounds' ratios counts. Decoding reads vectors of 20-word
texts through the public API, 64 at a time, against one-shot unbinding and cancellation on the same vectors; the
median of the rounds counts. The same texts are read again from a lexicon of 300,000 units, the further ones of random
codes, and, clean and noisy, with every search exact, which must give the same texts but for a few in noise. The
prefix is compared with the backbone's embedding of each text run by itself, without neighbours or padding.

    python benchmarks/speed.py --wikitext wikitext2.valid.txt --out metrics/benchmarks/speed.json

A text file in WikiText's convention is read as its lines that are no headings, split behind free-standing `.`, `?`
and `!`; every sentence of 4 to 40 words without `<unk>` goes through `Lexivert.encode` and `Lexivert.read`.

    python benchmarks/speed.py --against ../previous-release --pairs 7

measures encoding and decoding alone, in turn with another checkout that has been trained; see `against.py`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor

import against as comparison
from common import DECODED_WORDS, WORDS, drawn_texts, noisy, of_about, timed, wikitext_sentences
from lexivert import artifacts
from lexivert.codes.superposition import split_parts
from lexivert.controller.controller import Controller
from lexivert.controller.observation import Observation
from lexivert.errors import LexivertError
from lexivert.evaluation import metrics
from lexivert.evaluation.corruptions import send, with_lexicon
from lexivert.evaluation.decoders import decoder_named, unit_ids
from lexivert.model import Lexivert
from lexivert.search.faiss_index import FlatOverCodes
from lexivert.search.unit_index import Compared, Hits, Logits, UnitIndex

Figures = dict[str, float]

BATCH = 64
ENCODE_ROUNDS, DECODE_ROUNDS = 9, 3
PREFIX_TEXTS = 128
NOISE_COSINE = 0.9
SHOWN_MISSES = 3
LARGE_LEXICON = 300_000
COMPARED_COSINES, COMPARED_TEXTS = (1.0, 0.8, 0.7), 24
BARS = {
    "units": 75_000.0,
    "encode_to_backbone": 0.8,
    "cascade_texts_per_second": 150.0,
    "cascade_300k_texts_per_second": 40.0,
    "same_as_exact_search": 0.97,  # in noise two units may be as likely as each other
    "prefix_cosine_min": 0.9999,
    "wikitext_clean_exact_match": 0.99,
    "wikitext_clean_unit_accuracy": 0.999,
    "wikitext_noisy_exact_match": 0.90,
}
"""Least value of a figure; a figure that was not measured is not compared with its bar."""
MOST = {"trace_seconds": 0.1}
"""Largest value of a figure."""
LIMITS = BARS | MOST

log = logging.getLogger(__name__)


def encode_rates(model: Lexivert, texts: Sequence[str], rounds: int) -> Figures:
    """Rates of encoder and backbone, and the median ratio of the encoder's to the backbone's over all rounds."""
    backbone = model.encoder.backbone
    loops: dict[str, Callable[[Sequence[str]], object]] = {"encode": model.encode, "backbone": backbone.encode}
    for loop in loops.values():
        loop(texts[:BATCH])  # the first call of anything is slow
    size = len(texts) // rounds
    seconds: dict[str, list[float]] = {"encode": [], "backbone": []}
    for number in range(rounds):
        part = texts[number * size : (number + 1) * size]
        for name in list(loops)[:: -1 if number % 2 else 1]:
            seconds[name].append(timed(partial(loops[name], part)))
        log.info("encoding, round %d: %.3f of the backbone's rate", number + 1, _ratio(seconds))
    ratios = [alone / ours for ours, alone in zip(seconds["encode"], seconds["backbone"], strict=True)]
    return {
        "encode_texts": size * rounds,
        "encode_rounds": rounds,
        "encode_texts_per_second": size / median(seconds["encode"]),
        "backbone_texts_per_second": size / median(seconds["backbone"]),
        "encode_to_backbone": median(ratios),
        "encode_to_backbone_min": min(ratios),
        "encode_to_backbone_max": max(ratios),
    }


def _ratio(seconds: dict[str, list[float]]) -> float:
    return seconds["backbone"][-1] / seconds["encode"][-1]


def decode_rates(model: Lexivert, texts: Sequence[str], rounds: int, seed: int) -> Figures:
    """Texts a second of the model and of baselines: median of rounds in which all take turns."""
    clean = torch.from_numpy(model.encode(texts))
    semantic, order = split_parts(clean, model.semantic_width)
    distorted = noisy(clean, seed, NOISE_COSINE)
    one_shot, cancellation = (decoder_named(name, model.decoder.parts) for name in ("one_shot", "cancellation"))
    decoders: dict[str, Callable[[slice], object]] = {
        "cascade": lambda part: model.decode(clean[part].numpy()),
        "cascade_noisy": lambda part: model.decode(distorted[part].numpy()),
        "one_shot": lambda part: one_shot(order[part], semantic[part]),
        "cancellation": lambda part: cancellation(order[part], semantic[part]),
    }

    def all_parts(decode: Callable[[slice], object]) -> None:
        for start in range(0, len(texts), BATCH):
            decode(slice(start, start + BATCH))

    rates: dict[str, list[float]] = {name: [] for name in decoders}
    for decode in decoders.values():
        decode(slice(8))
    for number in range(rounds):
        for name, decode in decoders.items():
            rates[name].append(len(texts) / timed(partial(all_parts, decode)))
            log.info("decoding, round %d: %s %.1f texts/s", number + 1, name, rates[name][-1])
    return {
        "decode_texts": len(texts),
        "decode_words": fmean(len(text.split()) for text in texts),
        "decode_units": fmean(len(units) for units in model.encoder.segment(texts)),
        "decode_batch": min(BATCH, len(texts)),
        "decode_rounds": rounds,
        **{f"{name}_texts_per_second": median(values) for name, values in rates.items()},
    }


def decode_otherwise(model: Lexivert, texts: Sequence[str], rounds: int, seed: int) -> Figures:
    """Rate with a large lexicon, share of texts that an exact search reads the same, and time of one full trace."""
    vectors = model.encode(texts)
    semantic = split_parts(torch.from_numpy(vectors), model.semantic_width)[0]
    singles = [vectors[row : row + 1] for row in range(min(len(texts), 16))]
    trace = [timed(partial(model.decode, single, trace=True)) for single in singles]
    parts = model.decoder.parts
    exact = model.decoder.with_parts(replace(parts, index=ExactIndex.of(parts.index)))
    same: list[bool] = []
    for cosine in COMPARED_COSINES:
        given = noisy(torch.from_numpy(vectors), seed, cosine)
        prefix, order = split_parts(given[:COMPARED_TEXTS], model.semantic_width)
        pairs = zip(_units(model.decoder, order, prefix), _units(exact, order, prefix), strict=True)
        same += [quick == slow for quick, slow in pairs]
    large = model.decoder.with_parts(with_lexicon(parts, LARGE_LEXICON, model.encoder.config))
    order, prefixes = send(model.encoder.segment(texts), semantic, large.codebook, 1.0, "float32", seed)
    _units(large, order[:8], prefixes[:8])
    rates = [len(texts) / timed(partial(_units, large, order, prefixes)) for _ in range(rounds)]
    return {
        "trace_seconds": median(trace),
        "same_as_exact_search": fmean(same),
        "cascade_300k_texts_per_second": median(rates),
    }


class ExactIndex(UnitIndex):
    """Compares all codes in float32, whatever it is asked: what the quick searches must not fall behind."""

    @classmethod
    def of(cls, index: UnitIndex) -> ExactIndex:
        """The same units, searched exactly."""
        return cls(index.codes, FlatOverCodes(index.codes, index.params), index.params)

    def scan(self, queries: Tensor, k: int, prior: Logits | None = None, **asked: Any) -> Hits:
        """Best units of all, or of the ``first`` so many."""
        count = asked.get("first") or len(self)
        return Hits(*self._scores(queries, count, prior).topk(min(k, count), dim=1))

    def compare(self, queries: Tensor, k: int, prior: Logits) -> Iterator[Compared]:
        """All units, the tail's weight exact, too."""
        for start in range(0, max(len(queries), 1), BATCH):
            rows = slice(start, start + BATCH)
            logits = self._scores(queries[rows], len(self), prior.rows(rows))
            scores, units = logits.topk(min(k, len(self)), dim=1)
            log_tail = logits.scatter(1, units, -torch.inf).logsumexp(dim=1)
            log_prior = prior.layer.logits(prior.queries[rows]).logsumexp(dim=1)
            yield Compared(units, self.codes[units].float(), scores, log_tail, log_prior)

    def _scores(self, queries: Tensor, count: int, prior: Logits | None) -> Tensor:
        codes = torch.split(self.codes[:count], 8192)
        scores = torch.cat([queries @ part.float().T for part in codes], dim=1)
        return scores if prior is None else scores + prior.layer.logits(prior.queries)[:, :count]


def _units(decoder: Controller, order: Tensor, semantic: Tensor) -> list[list[int]]:
    return decoder.decode_all(Observation.of(order, semantic), BATCH, "decoding").units


def prefix_cosine(model: Lexivert, texts: Sequence[str]) -> Figures:
    """Cosine of each vector's semantic prefix with the backbone's embedding of that text alone."""
    prefix = model.encode(texts)[:, : model.semantic_width].astype(np.float64)
    alone = np.concatenate([model.encoder.backbone.encode([text]) for text in texts]).astype(np.float64)
    cosines = (prefix * alone).sum(axis=1) / np.linalg.norm(prefix, axis=1) / np.linalg.norm(alone, axis=1)
    return {"prefix_texts": len(texts), "prefix_cosine_min": float(cosines.min())}


def round_trip(model: Lexivert, sentences: Sequence[str], seed: int) -> Figures:
    """Exact match and unit accuracy, clean and noisy; a sentence of too many units for a vector counts as missed."""
    segmenter, most = model.encoder.segmenter, model.encoder.config.code.max_units
    segmented = {text: segmenter.segment(text) for text in sentences}
    texts = [text for text in sentences if len(segmented[text]) <= most]
    share = len(texts) / len(sentences)
    vectors = model.encode(texts, progress="encoding")
    figures: Figures = {"wikitext_sentences": len(sentences), "wikitext_too_long": len(sentences) - len(texts)}
    for name, given in (("clean", vectors), ("noisy", noisy(torch.from_numpy(vectors), seed, NOISE_COSINE).numpy())):
        readings, start = [], time.perf_counter()
        for first in range(0, len(texts), BATCH):
            readings += model.read(given[first : first + BATCH])
            if first % (16 * BATCH) == 0:
                log.info("%s: %d of %d sentences", name, len(readings), len(texts))
        rate = len(texts) / (time.perf_counter() - start)
        for text, reading in _misses(texts, [reading.text for reading in readings]):
            log.info("%s miss:\n  %s\n  %s", name, text, reading)
        figures |= {
            f"wikitext_{name}_exact_match": share * metrics.exact_match(texts, [r.text for r in readings]),
            f"wikitext_{name}_unit_accuracy": share
            * metrics.unit_accuracy([segmented[t] for t in texts], unit_ids(model, readings)),
            f"wikitext_{name}_texts_per_second": rate,
        }
    return figures


def _misses(texts: Sequence[str], rebuilt: Sequence[str]) -> list[tuple[str, str]]:
    return [pair for pair in zip(texts, rebuilt, strict=True) if pair[0] != pair[1]][:SHOWN_MISSES]


def missed(figures: Figures) -> list[str]:
    """Names of the figures that miss their bars, or are no numbers."""
    low = [name for name, bar in BARS.items() if name in figures and not figures[name] >= bar]
    return low + [name for name, bar in MOST.items() if name in figures and not figures[name] <= bar]


def show(figures: Figures) -> None:
    """Print all figures beside their bars."""
    table = Table("figure", "value", "bar", title="Speed and fidelity of a trained model")
    bad = missed(figures)
    for name, value in figures.items():
        limit = LIMITS.get(name)
        bar = "" if limit is None else f"{'[red]missed' if name in bad else '[green]kept'} {limit:g}"
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:,.6g}", bar)
    Console().print(table)


def measure(model: Lexivert, texts: Sequence[str], encoded: int, decoded: int, seed: int) -> Figures:
    """All figures but those of WikiText, on held-out texts in random order."""
    chosen = of_about(DECODED_WORDS, texts, decoded)
    figures: Figures = {"units": len(model.index), "threads": torch.get_num_threads()}
    figures |= encode_rates(model, texts[:encoded], ENCODE_ROUNDS)
    figures |= prefix_cosine(model, texts[:PREFIX_TEXTS])
    figures |= decode_rates(model, chosen, DECODE_ROUNDS, seed)
    figures |= decode_otherwise(model, chosen, DECODE_ROUNDS, seed)
    for name in ("encode", "backbone", "cascade"):
        figures[f"{name}_seconds_per_1000_texts"] = 1000.0 / figures[f"{name}_texts_per_second"]
    return figures


def main(
    root: Annotated[Path, typer.Option(help="Folder of a trained project.")] = Path(),
    wikitext: Annotated[str, typer.Option(help="File in WikiText's convention to read back.")] = "",
    sentences: Annotated[int, typer.Option(help="Sentences of it, evenly spaced; 0 for all.")] = 0,
    encode_texts: Annotated[
        int, typer.Option(help="Texts encoded in all rounds together.", min=ENCODE_ROUNDS)
    ] = 2304,
    decode_texts: Annotated[int, typer.Option(help="20-word texts decoded in a round.", min=1)] = 128,
    against: Annotated[Path | None, typer.Option(help="Another trained checkout, to compare rates with.")] = None,
    pairs: Annotated[int, typer.Option(help="Runs of each checkout.", min=1)] = 7,
    seed: Annotated[int, typer.Option(help="Of the texts drawn and of the noise.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Measure, print a table, write the figures, and fail if a bar is missed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    drawn = drawn_texts(root, seed)
    if against is not None:
        compare(root, against, drawn, (encode_texts, decode_texts, pairs), out)
        return
    model = Lexivert.load(root)
    figures = measure(model, drawn, encode_texts, decode_texts, seed)
    if wikitext:
        found = list(wikitext_sentences(Path(wikitext)))
        if not found:
            raise typer.BadParameter(f"{wikitext} holds no sentence of {WORDS[0]} to {WORDS[1]} words without <unk>")
        step = max(1, len(found) // sentences) if sentences else 1
        figures |= round_trip(model, found[::step][: sentences or None], seed)
    if out is not None:
        artifacts.write_metrics(out, figures)
    show(figures)
    if bad := missed(figures):
        logging.error("missed: %s", ", ".join(f"{name} {figures[name]:.6g}, not {LIMITS[name]:g}" for name in bad))
        raise typer.Exit(1)


def compare(root: Path, other: Path, texts: Sequence[str], counts: tuple[int, int, int], out: Path | None) -> None:
    """Measure beside another checkout: numbers of texts encoded and decoded, and of pairs."""
    encoded, decoded, pairs = counts
    short = [text for text in texts if len(text.split()) <= WORDS[1]]  # too long for no model
    try:
        report = comparison.measure(root, other, short[:encoded], of_about(DECODED_WORDS, short, decoded), pairs)
    except LexivertError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    if out is not None:
        artifacts.write_metrics(out, report)
    comparison.show(report)
    if bad := comparison.missed(report):
        logging.error("missed: %s, not %g of the other's rate", " and ".join(bad), comparison.BAR)
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
