"""Segmentation on real text: units a word, corrections to default spacing, phrase choice, sentences a second.

    python benchmarks/segmentation.py --texts 5000 --file lines.txt --out metrics/benchmarks/segmentation.json

Reads ``data/corpus.parquet`` and ``data/vocab.parquet``. Rates are per second of processor time on one core: "first"
on a segmenter that has seen nothing yet, "again" on the same texts with its chunk cache filled. It fails if a text
of ``--file`` takes more than 1.25 units a word; texts of the corpus are shown for comparison and have no bar.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Column, Table

from common import given_file, run_command
from lexivert.artifacts import Paths, write_metrics
from lexivert.text.lexicon import CAP, CONTROL, JOIN, SPACE, UPPER, Lexicon
from lexivert.text.phrases import PhraseTrie, Place
from lexivert.text.segmentation import Segmenter
from lexivert.text.tokenizer import normalize

BAR_UNITS_A_WORD = 1.25
"""Most units a word of a text given by ``--file``."""


def main(
    root: Annotated[Path, typer.Option(help="Project folder after `dvc repro vocab`.")] = Path(),
    texts: Annotated[int, typer.Option(help="Texts of each set.", min=1)] = 5000,
    file: Annotated[list[str] | None, typer.Option(help="More text, one a line; lines with <unk> skipped.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Print figures and the contexts of spacing corrections, write the figures, and fail if a bar is missed."""
    lexicon = Lexicon.load(Paths(root).vocab)
    given = {path.stem: file_lines(path) for path in map(given_file, file or []) if path}
    sets = corpus_sets(Paths(root).corpus, texts) | given
    report = {name: figures(lexicon, chosen) for name, chosen in sets.items()}
    console = Console(width=140)
    console.print(show(f"{len(lexicon)} units", report))
    for name, chosen in sets.items():
        console.print(f"{name}: {corrections(Segmenter(lexicon), chosen)}")
    if out is not None:
        write_metrics(out, report)
    judge({name: report[name]["units_a_word"] for name in given})


def judge(units_a_word: Mapping[str, float]) -> None:
    """Say which of the texts keep the bar.

    Raises:
        SystemExit: one of them does not.
    """
    missed = [f"{name} takes {value:.4f}" for name, value in units_a_word.items() if not value <= BAR_UNITS_A_WORD]
    if missed:
        raise SystemExit(f"missed: at most {BAR_UNITS_A_WORD} units a word are wanted; {', '.join(missed)}")
    for name, value in units_a_word.items():
        print(f"kept: {name} takes {value:.4f} units a word, at most {BAR_UNITS_A_WORD}")


def file_lines(path: Path) -> list[str]:
    """The lines of a text that are not blank and hold no ``<unk>``.

    Raises:
        SystemExit: there is none.
    """
    lines = (normalize(line) for line in path.read_text(encoding="utf-8").splitlines())
    if found := [line for line in lines if line and "<unk>" not in line]:
        return found
    raise SystemExit(f"{path} holds no line without <unk>")


def corpus_sets(path: Path, size: int) -> dict[str, list[str]]:
    """Evenly spaced texts of each source and split."""
    rows = pq.read_table(path, columns=["source", "split", "text"]).to_pydict()
    sets: dict[str, list[str]] = {}
    for source, split, text in zip(rows["source"], rows["split"], rows["text"], strict=True):
        sets.setdefault(f"{source}_{split}", []).append(text)
    return {name: texts[:: max(1, len(texts) // size)][:size] for name, texts in sorted(sets.items())}


def figures(lexicon: Lexicon, texts: Sequence[str]) -> dict[str, float]:
    """Units a word, some kinds of unit a word, and rates; checks that every text comes back.

    Raises:
        AssertionError: one does not.
    """
    segmenter = Segmenter(lexicon)
    first, ids = timed(lambda: segmenter.segment_batch(texts))
    again, _ = timed(lambda: segmenter.segment_batch(texts))
    joining, joined = timed(lambda: [segmenter.join(units) for units in ids])
    assert joined == [normalize(text) for text in texts]
    words = sum(len(text.split()) for text in texts)
    uses = Counter(unit for units in ids for unit in units)
    greedy = sum(map(len, greedy_segmenter(lexicon).segment_batch(texts)))
    return {
        "texts": len(texts),
        "words_a_text": words / len(texts),
        "units_a_word": uses.total() / words,
        "greedy_units_a_word": greedy / words,
        "join_and_space_a_word": (uses[JOIN] + uses[SPACE]) / words,
        "cap_and_upper_a_word": (uses[CAP] + uses[UPPER]) / words,
        "pieces_a_word": sum(n for unit, n in uses.items() if lexicon.surfaces[unit].startswith("##")) / words,
        "bytes_a_word": sum(uses[unit] for unit in lexicon.bytes_of) / words,
        "first_texts_per_second": len(texts) / first,
        "again_texts_per_second": len(texts) / again,
        "join_texts_per_second": len(texts) / joining,
    }


def show(title: str, report: Mapping[str, Mapping[str, float]]) -> Table:
    """One row a set of texts."""
    keys = [key for key in next(iter(report.values())) if key != "texts"]
    titles = [key.replace("_texts_per_second", " /s").replace("_", " ") for key in keys]
    table = Table(Column("texts", overflow="fold"), *titles, title=title)
    for name, row in report.items():
        table.add_row(name, *(f"{row[key]:,.0f}" if key.endswith("second") else f"{row[key]:.4f}" for key in keys))
    return table


def timed(work: Callable[[], list]) -> tuple[float, list]:  # type: ignore[type-arg]
    """Processor seconds, more than none, and result."""
    begun = time.process_time_ns()
    result = work()
    return max(time.process_time_ns() - begun, 1) / 1e9, result


class GreedyTrie(PhraseTrie):
    """Takes the longest phrase at each place, left to right, instead of the fewest units."""

    def cover(self, places: Sequence[Place], links: Sequence[int]) -> list[int]:
        """See ``PhraseTrie.cover``."""
        ids: list[int] = []
        start = 0
        while start < len(places):
            node, stop, best, unit = places[start].node, start + 1, start + 1, places[start].units
            while node is not None:
                if " " in node:
                    best, unit = stop, (node[" "],)
                if stop == len(places) or links[stop]:
                    break
                node, stop = node.get(places[stop].token), stop + 1
            ids.extend((links[start], *unit) if links[start] else unit)
            start = best
        return ids


def greedy_segmenter(lexicon: Lexicon) -> Segmenter:
    """Make a segmenter that chooses phrases greedily."""
    segmenter = Segmenter(lexicon)
    segmenter._trie = GreedyTrie(lexicon)
    return segmenter


def corrections(segmenter: Segmenter, texts: Sequence[str], shown: int = 8) -> str:
    """The most frequent neighbours of ``<join>`` and ``<space>``."""
    contexts: Counter[str] = Counter()
    for text in texts:
        surfaces = segmenter.surface(segmenter.segment(text))
        for place, surface in enumerate(surfaces):
            if surface in (CONTROL[JOIN], CONTROL[SPACE]) and place:
                after = next((s for s in surfaces[place + 1 :] if s not in CONTROL), "")
                contexts[f"{_class(surfaces[place - 1].split()[-1])} {surface} {_class(after)}"] += 1
    return "; ".join(f"{context} {count}" for context, count in contexts.most_common(shown))


def _class(surface: str) -> str:
    return "a" if surface[0].isalpha() else "1" if surface[0].isdigit() else surface


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
