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

    python benchmarks/speed.py --against ../previous

compares rates with another release, trained in its own folder, and measures nothing else; see ``against``.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from against import Release, compare
from common import given_file, run_command
from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import split_parts
from lexivert.controller.base import Parts
from lexivert.controller.observation import Observation
from lexivert.evaluation import metrics
from lexivert.evaluation.corruptions import send, with_lexicon
from lexivert.evaluation.decoders import decoder_named, unit_ids
from lexivert.model import Lexivert
from lexivert.search.rough_scores import Logits
from lexivert.search.unit_index import Compared, Hits, UnitIndex
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
AGAINST_ROUNDS, AGAINST_ENCODED, AGAINST_DECODED = 5, 1000, 200  # texts encoded and decoded in a round
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
    "encode_ratio": 0.95,
    "decode_ratio": 0.95,
}
"""Least value of a figure; a figure that was not measured is not compared with its bar."""
MOST = {"trace_seconds": 0.1}
"""Largest value of a figure."""
LIMITS = BARS | MOST
_SENTENCE_END = re.compile(r"(?<= [.?!]) ")

log = logging.getLogger(__name__)


def held_out(root: Path) -> list[str]:
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
    """Texts a second of the public API and the baselines: median of rounds in which all take turns."""
    clean = torch.from_numpy(model.encode(texts))
    prefix, order = split_parts(clean, model.semantic_width)
    distorted = noisy(clean, seed)
    one_shot, cancellation = (decoder_named(name, model.decoder.parts) for name in ("one_shot", "cancellation"))
    decoders: dict[str, Callable[[slice], object]] = {
        "cascade": lambda part: model.decode(clean[part].numpy()),
        "cascade_noisy": lambda part: model.decode(distorted[part].numpy()),
        "one_shot": lambda part: one_shot(order[part], prefix[part]),
        "cancellation": lambda part: cancellation(order[part], prefix[part]),
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
    """Time of a trace, agreement with an exact search, and the rate with a large lexicon."""
    vectors = model.encode(texts)
    singles = [vectors[row : row + 1] for row in range(min(len(texts), 16))]
    trace = [timed(partial(model.decode, single, trace=True)) for single in singles]
    return {
        "trace_seconds": median(trace),
        "same_as_exact_search": same_as_exact_search(model, torch.from_numpy(vectors[:COMPARED_TEXTS]), seed),
        "cascade_300k_texts_per_second": large_lexicon_rate(model, texts, rounds, seed),
    }


def same_as_exact_search(model: Lexivert, vectors: torch.Tensor, seed: int) -> float:
    """Share of texts, clean and noisy, that an exact search reads the same. Shape: (B, D)."""
    parts = model.decoder.parts
    exact = replace(parts, index=ExactIndex.of(parts.index))
    same: list[bool] = []
    for cosine in COMPARED_COSINES:
        prefix, order = split_parts(noisy(vectors, seed, cosine), model.semantic_width)
        pairs = zip(_read(model, parts, order, prefix), _read(model, exact, order, prefix), strict=True)
        same += [quick == slow for quick, slow in pairs]
    return fmean(same)


def large_lexicon_rate(model: Lexivert, texts: Sequence[str], rounds: int, seed: int) -> float:
    """Texts a second from a lexicon of 300,000 units: median of rounds."""
    large = with_lexicon(model.decoder.parts, LARGE_LEXICON, model.encoder.config)
    prefix = split_parts(torch.from_numpy(model.encode(texts)), model.semantic_width)[0]
    order, prefixes = send(model.encoder.segment(texts), prefix, large.codebook, 1.0, "float32", seed)
    _read(model, large, order[:8], prefixes[:8])
    return median(len(texts) / timed(partial(_read, model, large, order, prefixes)) for _ in range(rounds))


class ExactIndex(UnitIndex):
    """Compares full codes in float32, whatever it is asked: what the quick searches must not fall behind."""

    @classmethod
    def of(cls, index: UnitIndex) -> UnitIndex:
        """The same units, searched exactly."""
        return cls.build(index.codes, index.params.model_copy(update={"factory": "Flat"}))

    def scan(
        self,
        queries: torch.Tensor,
        k: int,
        prior: Logits | None = None,
        *,
        width: int | None = None,  # noqa: ARG002 all dimensions are compared
        first: int | None = None,
        biased: bool = True,  # noqa: ARG002 the prior always counts
    ) -> Hits:
        """Best units of all, or of the ``first`` so many; see ``UnitIndex.scan``."""
        scores = self._all_scores(queries, prior)[:, : first or len(self)]
        return Hits(*scores.topk(min(k, scores.shape[1]), dim=1))

    def compare(self, queries: torch.Tensor, k: int, prior: Logits) -> Iterator[Compared]:
        """Best units and the exact sum of all others; see ``UnitIndex.compare``."""
        for start in range(0, max(len(queries), 1), BATCH):
            part = slice(start, start + BATCH)
            some = prior.rows(part)
            scores = self._all_scores(queries[part], some)
            best, units = scores.topk(min(k, len(self)), dim=1)
            log_tail = scores.scatter(1, units, -torch.inf).logsumexp(dim=1)
            log_prior = some.layer.logits(some.queries).logsumexp(dim=1)
            yield Compared(units, self.codes[units].float(), best, log_tail, log_prior)

    def _all_scores(self, queries: torch.Tensor, prior: Logits | None) -> torch.Tensor:
        """Shape: (m, O) to (m, V)."""
        scores = torch.cat([queries @ part.float().T for part in torch.split(self.codes, 8192)], dim=1)
        if prior is None:
            return scores
        if prior.precision is not None:
            scores = scores - prior.precision[:, None] * self.half_energies
        return scores + prior.layer.logits(prior.queries)


def _read(model: Lexivert, parts: Parts, order: torch.Tensor, prefix: torch.Tensor) -> list[list[int]]:
    decoder = model.decoder.with_parts(parts)
    return decoder.decode_all(Observation.of(order, prefix), BATCH, "decoding").units


def prefix_cosine(model: Lexivert, texts: Sequence[str]) -> Figures:
    """Cosine of each vector's semantic prefix with the backbone's embedding of that text alone."""
    prefix = model.encode(texts)[:, : model.semantic_width].astype(np.float64)
    alone = np.concatenate([model.encoder.backbone.encode([text]) for text in texts]).astype(np.float64)
    cosines = (prefix * alone).sum(axis=1) / np.linalg.norm(prefix, axis=1) / np.linalg.norm(alone, axis=1)
    return {"prefix_texts": len(texts), "prefix_cosine_min": float(cosines.min())}


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
        bar = "" if limit is None else f"{'[red]missed' if name in missed else '[green]kept'} {limit:g}"
        table.add_row(name, f"{value:,}" if isinstance(value, int) else f"{value:,.6g}", bar)
    Console().print(table)
    return missed


def beside(root: Path, other: Path, seed: int) -> Figures:
    """Rates of this project over those of another release, on the same texts; see ``against.compare``."""
    texts = held_out(root)
    drawn = [texts[row] for row in np.random.default_rng(seed).permutation(len(texts)).tolist()]
    decoded = [text for text in drawn if WORDS[0] <= len(text.split()) <= WORDS[1]][:AGAINST_DECODED]
    encoded = (drawn * (1 + AGAINST_ROUNDS * AGAINST_ENCODED // len(drawn)))[: AGAINST_ROUNDS * AGAINST_ENCODED]
    with Release(root, Path(artifacts.__file__).parents[1]) as own, Release(other) as theirs:
        return compare(own, theirs, encoded, decoded, AGAINST_ROUNDS)


def measure(root: Path, encoded: int, decoded: int, seed: int) -> Figures:
    """All figures but those of WikiText, with so many held-out texts encoded and decoded."""
    model, texts = Lexivert.load(root), held_out(root)
    drawn = [texts[row] for row in np.random.default_rng(seed).permutation(len(texts)).tolist()]
    chosen = of_about(DECODED_WORDS, drawn, decoded)
    figures: Figures = {"units": len(model.index), "threads": torch.get_num_threads()}
    figures |= encode_rates(model, drawn[:encoded], ENCODE_ROUNDS)
    figures |= prefix_cosine(model, drawn[:PREFIX_TEXTS])
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
    seed: Annotated[int, typer.Option(help="Of the texts drawn and of the noise.")] = 0,
    against: Annotated[
        Path | None, typer.Option(help="Only compare rates with the release in this folder, trained there.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Measure, print a table, write the figures, and fail if a bar is missed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    figures = beside(root, against, seed) if against else measure(root, encode_texts, decode_texts, seed)
    if not against and (given := given_file(wikitext)):
        found = list(wikitext_sentences(given))
        if not found:
            raise typer.BadParameter(f"{wikitext} holds no sentence of {WORDS[0]} to {WORDS[1]} words without <unk>")
        step = max(1, len(found) // sentences) if sentences else 1
        figures |= round_trip(Lexivert.load(root), found[::step][: sentences or None], seed)
    if out is not None:
        artifacts.write_metrics(out, figures)
    if missed := show(figures):
        logging.error("missed: %s", ", ".join(f"{name} {figures[name]:.6g}, not {LIMITS[name]:g}" for name in missed))
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
