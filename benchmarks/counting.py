"""Phrase counting: time and memory on synthetic Zipfian text, and the rate against a plain implementation.

python benchmarks/counting.py --tokens 100000000 --out metrics/benchmarks/counting.json
"""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from common import run_command
from lexivert.artifacts import write_metrics
from lexivert.config import KindCounts, VocabParams
from lexivert.text.kinds import TokenKind, classify
from lexivert.text.ngrams import encode_texts
from lexivert.text.tokenizer import normalize, split_chunk
from lexivert.text.vocabulary import Unit, count_candidates

COUNTED = ("word", "cased", "entity", "ngram", "number", "numeric", "anomalous", "punctuation")
BAR_SPEEDUP, BAR_GB = 20, 6
DRAWN_AT_ONCE = 1 << 18
ITEMS_PER_ROW = 80  # WikiText's rows are paragraphs
CONSONANTS, VOWELS = "bcdfghjklmnprstvwz", "aeiou"


def params_for(min_count: int) -> VocabParams:
    """One threshold for all kinds, as in the research script, and no caps."""
    return VocabParams(
        ngram_min=2,
        ngram_max=7,
        min_usage=2,
        pieces=8000,
        languages=(),
        language_words=0,
        language_pieces=0,
        min_count=KindCounts(**dict.fromkeys(COUNTED, min_count)),
        max_units=KindCounts(**dict.fromkeys(COUNTED, 10**9)),
    )


def zipf_rows(tokens: int, types: int, seed: int = 42) -> Iterator[str]:
    """Rows of about ``tokens`` tokens in all: words, names, numbers, marks and fixed phrases, Zipf-distributed."""
    rng = np.random.default_rng(seed)
    items = np.array(list(make_items(types, rng)), dtype=object)
    lengths = np.array([len(item.split()) for item in items])
    weights = 1.0 / np.arange(1, types + 1)
    cumulative = np.cumsum(weights / weights.sum())
    made = 0
    while made < tokens:
        drawn = np.searchsorted(cumulative, rng.random(DRAWN_AT_ONCE)).clip(max=types - 1)
        made += int(lengths[drawn].sum())
        words = items[drawn].tolist()
        for start in range(0, len(words), ITEMS_PER_ROW):
            yield " ".join(words[start : start + ITEMS_PER_ROW])


def make_items(types: int, rng: np.random.Generator) -> Iterator[str]:
    """A tenth each of names, of numbers and marks, and of phrases of 2 to 7 earlier words; the rest are words."""
    words: list[str] = []
    for rank in range(types):
        word = spell(rank)
        kind = rank % 10
        if kind == 3:
            yield word.capitalize()
        elif kind == 6:
            yield f"{rank}" if rank % 20 == 6 else f"{word},"
        elif kind == 9:
            yield " ".join(words[index] for index in rng.integers(0, len(words), rng.integers(2, 8)))
        else:
            words.append(word)
            yield word


def spell(rank: int) -> str:
    """A pronounceable word for each number."""
    syllables = []
    rank += 90
    while rank:
        rank, digit = divmod(rank, len(CONSONANTS) * len(VOWELS))
        syllables.append(CONSONANTS[digit // len(VOWELS)] + VOWELS[digit % len(VOWELS)])
    return "".join(syllables)


def plain_counts(rows: Iterable[str], params: VocabParams) -> dict[str, Counter[str]]:
    """The same rules, written straightforwardly: classify each occurrence, count joined strings row by row."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in COUNTED}
    capitalised: Counter[str] = Counter()
    for row in rows:
        run: list[str] = []
        sort_of_run = None
        for token in tokens_of(row):
            sort = classify(token)
            if sort != sort_of_run:
                count_run(run, sort_of_run, counts, params)
                run = []
            sort_of_run = sort
            run.append(token)
            if sort == TokenKind.CAPITALISED:
                capitalised[token] += 1
            else:
                counts[sort.name.lower()][token] += 1
        count_run(run, sort_of_run, counts, params)
    for token, count in capitalised.items():
        counts["cased" if token.lower() in counts["word"] else "entity"][token] = count
    return {kind: frequent(counter, getattr(params.min_count, kind)) for kind, counter in counts.items()}


def tokens_of(row: str) -> Iterator[str]:
    """Tokens of a plain row, each chunk split anew."""
    for chunk in normalize(row).split():
        yield from split_chunk.__wrapped__(chunk)


def count_run(run: list[str], sort: TokenKind | None, counts: dict[str, Counter[str]], params: VocabParams) -> None:
    """Count all phrases of a run of words or of capitalised tokens."""
    if sort not in {TokenKind.WORD, TokenKind.CAPITALISED}:
        return
    counter = counts["ngram" if sort == TokenKind.WORD else "entity"]
    for length in range(params.ngram_min, min(len(run), params.ngram_max) + 1):
        counter.update(" ".join(run[start : start + length]) for start in range(len(run) - length + 1))


def frequent(counter: Counter[str], minimum: int) -> Counter[str]:
    """Only what reaches the threshold."""
    return Counter({surface: count for surface, count in counter.items() if count >= minimum})


def fast_counts(rows: Iterable[str], params: VocabParams) -> list[Unit]:
    """The library's counts."""
    return count_candidates(encode_texts(rows), params)


def by_kind(units: Iterable[Unit]) -> dict[str, Counter[str]]:
    """The library's counts in the form of ``plain_counts``."""
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in COUNTED}
    for unit in units:
        counts[unit.kind][unit.surface] = unit.count
    return counts


def timed(function: Callable[..., Any], *args: Any) -> tuple[Any, float, float]:
    """Result, seconds, and seconds of processor time of all threads."""
    start, processor = time.perf_counter(), time.process_time()
    return function(*args), time.perf_counter() - start, time.process_time() - processor


def best_of(times: int, function: Callable[..., Any], *args: Any) -> tuple[Any, float, float]:
    """Result and fewest seconds of either clock. The library may use two threads, the plain code has one."""
    results = [timed(function, *args) for _ in range(times)]
    return results[-1][0], min(wall for _, wall, _ in results), min(processor for *_, processor in results)


def generation_seconds(tokens: int, types: int) -> float:
    """Seconds that making the text takes by itself, measured on a part of it."""
    part = min(tokens, 2_000_000)
    _, seconds, _ = timed(lambda: sum(1 for _ in zipf_rows(part, types)))
    return seconds * tokens / part


def main(
    tokens: Annotated[int, typer.Option(help="Tokens of the large run.")] = 5_000_000,
    sample: Annotated[int, typer.Option(help="Tokens on which both implementations run.")] = 4_000_000,
    types: Annotated[int, typer.Option(help="Distinct items of the synthetic text.")] = 100_000,
    min_count: Annotated[int, typer.Option(help="Threshold of every kind in the large run.")] = 100,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Measure, print a table, and write the figures."""
    counts, seconds, _ = timed(fast_counts, zipf_rows(tokens, types), params_for(min_count))
    figures = {
        "tokens": tokens,
        "seconds_with_generation": seconds,
        "seconds_of_generation": generation_seconds(tokens, types),
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "phrases": len(by_kind(counts)["ngram"]),
        "longest_phrase": max((len(surface.split()) for surface in by_kind(counts)["ngram"]), default=0),
    }
    del counts
    rows = list(islice(zipf_rows(sample, types), None))
    params = params_for(10)
    fast, fast_seconds, fast_processor = best_of(3, fast_counts, rows, params)
    plain, plain_seconds, plain_processor = best_of(3, plain_counts, rows, params)
    figures |= {
        "sample_tokens": sample,
        "sample_seconds": fast_seconds,
        "sample_plain_seconds": plain_seconds,
        "speedup": plain_seconds / fast_seconds,
        "speedup_in_processor_time": plain_processor / fast_processor,
        "same_counts": by_kind(fast) == plain,
    }
    table = Table("figure", "value", title="Counting tokens and phrases of 2 to 7 words")
    for name, value in figures.items():
        table.add_row(name, f"{value:,.2f}" if isinstance(value, float) else f"{value:,}")
    Console().print(table)
    if out is not None:
        write_metrics(out, figures)
    judge(figures)


def judge(figures: Mapping[str, Any]) -> None:
    """Compare figures with their bars.

    Raises:
        SystemExit: one of them misses, or is not a number.
    """
    if not (figures["speedup"] >= BAR_SPEEDUP and figures["same_counts"] and figures["peak_gb"] <= BAR_GB):
        raise SystemExit(f"missed: the bars are {BAR_SPEEDUP} times the plain code, same counts, {BAR_GB} GB")


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
