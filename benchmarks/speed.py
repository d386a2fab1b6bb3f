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
"""

from __future__ import annotations

import copy
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Any, TypeGuard

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import split_parts
from lexivert.controller.controller import Controller
from lexivert.controller.observation import Observation
from lexivert.evaluation import metrics
from lexivert.evaluation.corruptions import send, with_lexicon
from lexivert.evaluation.decoders import decoder_named, unit_ids
from lexivert.model import Lexivert
from lexivert.search.unit_index import Compared, Hits, Logits, UnitIndex
from lexivert.text.tokenizer import normalize
from lexivert.text.wikitext import is_heading

Figures = dict[str, float]

BATCH = 64
DECODED_WORDS = 20
ENCODE_ROUNDS, DECODE_ROUNDS = 9, 3
PREFIX_TEXTS = 128
NOISE_COSINE = 0.9
WORDS = (4, 40)
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
"""Least value of a figure; one that was not measured has no bar."""
MOST = {"trace_seconds": 0.1}
"""Largest value of a figure."""
LIMITS = BARS | MOST
_SENTENCE_END = re.compile(r"(?<= [.?!]) ")

log = logging.getLogger(__name__)


def heldout_texts(root: Path) -> list[str]:
    """Distinct sentences of valid and test documents, in corpus order."""
    corpus = artifacts.read_parquet(Paths(root).corpus, ["split", "text"])
    rows = zip(corpus["split"].to_pylist(), corpus["text"].to_pylist(), strict=True)
    return list(dict.fromkeys(str(text) for split, text in rows if split != "train"))


def timed(run: Callable[[], object]) -> float:
    """Seconds of a run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


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


def noisy(vectors: torch.Tensor, seed: int, cosine: float = NOISE_COSINE) -> torch.Tensor:
    """Vectors at a cosine with the given ones. Shape: (B, D)."""
    return add_noise(vectors, torch.full((len(vectors),), cosine), torch.Generator().manual_seed(seed))


def of_about(words: int, texts: Sequence[str], count: int) -> list[str]:
    """The texts whose lengths come nearest to a number of words."""
    return sorted(texts, key=lambda text: abs(len(text.split()) - words))[:count]


def decode_rates(model: Lexivert, texts: Sequence[str], rounds: int, seed: int) -> Figures:
    """Texts a second of the cascade and of hard decoders: median of rounds in which all take turns."""
    clean = torch.from_numpy(model.encode(texts))
    prefixes, order = split_parts(clean, model.encoder.config.semantic_width)
    distorted = noisy(clean, seed)
    decoders: dict[str, Callable[[slice], object]] = {
        "cascade": lambda part: model.decode(clean[part].numpy()),
        "cascade_noisy": lambda part: model.decode(distorted[part].numpy()),
    }
    for name in ("one_shot", "cancellation"):
        hard = decoder_named(name, model.decoder.parts)
        decoders[name] = partial(lambda decode, part: decode(order[part], prefixes[part]), hard)

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
    """Rate with a large lexicon, share of texts that an exact search reads the same, and time of one trace."""
    vectors = model.encode(texts)
    semantic = split_parts(torch.from_numpy(vectors), model.encoder.config.semantic_width)[0]
    singles = [vectors[row : row + 1] for row in range(min(len(texts), 16))]
    trace = [timed(partial(model.decode, single, trace=True)) for single in singles]
    exact = model.decoder.with_parts(replace(model.decoder.parts, index=ExactIndex.of(model.index)))
    same: list[bool] = []
    for cosine in COMPARED_COSINES:
        given = noisy(torch.from_numpy(vectors), seed, cosine)
        prefix, part = split_parts(given[:COMPARED_TEXTS], model.encoder.config.semantic_width)
        pairs = zip(_units(model.decoder, part, prefix), _units(exact, part, prefix), strict=True)
        same += [quick == slow for quick, slow in pairs]
    parts = with_lexicon(model.decoder.parts, LARGE_LEXICON, model.encoder.config)
    large = model.decoder.with_parts(parts)
    order, prefixes = send(model.encoder.segment(texts), semantic, large.codebook, 1.0, "float32", seed)
    _units(large, order[:8], prefixes[:8])
    rates = [len(texts) / timed(partial(_units, large, order, prefixes)) for _ in range(rounds)]
    return {
        "trace_seconds": median(trace),
        "same_as_exact_search": fmean(same),
        "cascade_300k_texts_per_second": median(rates),
    }


class ExactIndex(UnitIndex):
    """Compares full codes in float32, whatever it is asked: what the quick searches must not fall behind."""

    @classmethod
    def of(cls, index: UnitIndex) -> ExactIndex:
        """The same units, searched exactly."""
        exact = copy.copy(index)
        exact.__class__ = cls
        return exact  # type: ignore[return-value]

    def scan(
        self,
        queries: torch.Tensor,
        k: int,
        prior: Logits | None = None,
        *,
        width: int | None = None,  # noqa: ARG002 full codes, in any case
        first: int | None = None,
        biased: bool = True,  # noqa: ARG002 the prior counts, in any case
    ) -> Hits:
        """Best units of all, or of the ``first`` so many. Arguments and shapes: see ``UnitIndex``."""
        scores = self._scores(queries, prior, first or len(self))
        best, units = scores.topk(min(k, scores.shape[1]), dim=1)
        return Hits(best, units)

    def compare(self, queries: torch.Tensor, k: int, prior: Logits) -> Iterator[Compared]:
        """All units compared with the queries, in one part. Arguments and shapes: see ``UnitIndex``."""
        scores = self._scores(queries, prior, len(self))
        best, units = scores.topk(min(k, len(self)), dim=1)
        tail = scores.scatter(1, units, -torch.inf).logsumexp(dim=1)
        yield Compared(
            units, self.codes[units].float(), best, tail, prior.layer.logits(prior.queries).logsumexp(dim=1)
        )

    def _scores(self, queries: torch.Tensor, prior: Logits | None, count: int) -> torch.Tensor:
        parts = torch.split(self.codes[:count], 8192)
        scores = torch.cat([queries @ part.float().T for part in parts], dim=1)
        return scores if prior is None else scores + prior.layer.logits(prior.queries)[:, :count]


def _units(decoder: Controller, order: torch.Tensor, prefixes: torch.Tensor) -> list[list[int]]:
    return decoder.decode_all(Observation.of(order, prefixes), BATCH, "decoding").units


def prefix_cosine(model: Lexivert, texts: Sequence[str]) -> Figures:
    """Cosine of each vector's semantic prefix with the backbone's embedding of that text alone."""
    prefix = model.encode(texts)[:, : model.encoder.config.semantic_width].astype(np.float64)
    alone = np.concatenate([model.encoder.backbone.encode([text]) for text in texts]).astype(np.float64)
    cosines = (prefix * alone).sum(axis=1) / np.linalg.norm(prefix, axis=1) / np.linalg.norm(alone, axis=1)
    return {"prefix_texts": len(texts), "prefix_cosine_min": float(cosines.min())}


def is_given(path: Path | None) -> TypeGuard[Path]:
    """Whether there is a text to read; one that is named but not there is left out, with a warning."""
    if path is not None and not path.is_file():
        log.warning("%s is not there; figures of WikiText are left out", path)
    return path is not None and path.is_file()


def wikitext_sentences(path: Path) -> Iterator[str]:
    """Sentences of 4 to 40 words without ``<unk>``."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if is_heading(line):
            continue
        for sentence in _SENTENCE_END.split(normalize(line)):
            if "<unk>" not in sentence and WORDS[0] <= len(sentence.split()) <= WORDS[1]:
                yield sentence


def round_trip(model: Lexivert, sentences: Sequence[str], seed: int) -> Figures:
    """Exact match and unit accuracy, clean and noisy; a sentence of too many units for a vector counts as missed."""
    segmenter, most = model.encoder.segmenter, model.encoder.config.code.max_units
    segmented = {text: segmenter.segment(text) for text in sentences}
    texts = [text for text in sentences if len(segmented[text]) <= most]
    share = len(texts) / len(sentences)
    vectors = model.encode(texts, progress="encoding")
    figures: Figures = {"wikitext_sentences": len(sentences), "wikitext_too_long": len(sentences) - len(texts)}
    for name, given in (("clean", vectors), ("noisy", noisy(torch.from_numpy(vectors), seed).numpy())):
        readings, start = [], time.perf_counter()
        for first in range(0, len(texts), BATCH):
            readings += model.read(given[first : first + BATCH])
            if first % (16 * BATCH) == 0:
                log.info("%s: %d of %d sentences", name, len(readings), len(texts))
        rate = len(texts) / (time.perf_counter() - start)
        units = unit_ids(model, readings)
        for text, reading in _misses(texts, [reading.text for reading in readings]):
            log.info("%s miss:\n  %s\n  %s", name, text, reading)
        figures |= {
            f"wikitext_{name}_exact_match": share * metrics.exact_match(texts, [r.text for r in readings]),
            f"wikitext_{name}_unit_accuracy": share * metrics.unit_accuracy([segmented[t] for t in texts], units),
            f"wikitext_{name}_texts_per_second": rate,
        }
    return figures


def _misses(texts: Sequence[str], rebuilt: Sequence[str]) -> list[tuple[str, str]]:
    return [pair for pair in zip(texts, rebuilt, strict=True) if pair[0] != pair[1]][:SHOWN_MISSES]


def show(figures: Figures) -> list[str]:
    """Print all figures beside their bars; return the names of those that missed."""
    missed = [name for name, bar in BARS.items() if name in figures and not figures[name] >= bar]  # NaN misses too
    missed += [name for name, bar in MOST.items() if name in figures and not figures[name] <= bar]
    table = Table("figure", "value", "bar", title="Speed and fidelity of a trained model")
    for name, value in figures.items():
        limit = LIMITS.get(name)
        bar = "" if limit is None else f"{'[red]missed' if name in missed else '[green]met'} {limit:g}"
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:,.6g}", bar)
    Console().print(table)
    return missed


def main(
    root: Annotated[Path, typer.Option(help="Folder of a trained project.")] = Path(),
    wikitext: Annotated[Path | None, typer.Option(help="Text in WikiText's convention, if it is there.")] = None,
    sentences: Annotated[int, typer.Option(help="Sentences of it, evenly spaced; 0 for all.")] = 0,
    encode_texts: Annotated[
        int, typer.Option(help="Texts encoded in all rounds together.", min=ENCODE_ROUNDS)
    ] = 2304,
    decode_texts: Annotated[int, typer.Option(help="20-word texts decoded in a round.", min=1)] = 128,
    seed: Annotated[int, typer.Option(help="Of the texts drawn and of the noise.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Measure, print a table, write the figures, and fail if a bar is missed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model, texts = Lexivert.load(root), heldout_texts(root)
    drawn = [texts[row] for row in np.random.default_rng(seed).permutation(len(texts)).tolist()]
    decoded = of_about(DECODED_WORDS, drawn, decode_texts)
    figures: dict[str, Any] = {"units": len(model.index), "threads": torch.get_num_threads()}
    figures |= encode_rates(model, drawn[:encode_texts], ENCODE_ROUNDS)
    figures |= prefix_cosine(model, drawn[:PREFIX_TEXTS])
    figures |= decode_rates(model, decoded, DECODE_ROUNDS, seed)
    figures |= decode_otherwise(model, decoded, DECODE_ROUNDS, seed)
    for name in ("encode", "backbone", "cascade"):
        figures[f"{name}_seconds_per_1000_texts"] = 1000.0 / figures[f"{name}_texts_per_second"]
    if is_given(wikitext):
        found = list(wikitext_sentences(wikitext))
        if not found:
            raise typer.BadParameter(f"{wikitext} holds no sentence of {WORDS[0]} to {WORDS[1]} words without <unk>")
        step = max(1, len(found) // sentences) if sentences else 1
        figures |= round_trip(model, found[::step][: sentences or None], seed)
    if out is not None:
        artifacts.write_metrics(out, figures)
    if missed := show(figures):
        logging.error("missed: %s", ", ".join(f"{name} {figures[name]:.6g}, not {LIMITS[name]:g}" for name in missed))
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
