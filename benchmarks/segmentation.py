"""Segmentation on real text: units a word, corrections to default spacing, phrase choice, sentences a second.

    python benchmarks/segmentation.py [--texts 5000] [--file lines.txt]

Reads ``data/corpus.parquet`` and ``data/vocab.parquet``. Rates are per second of processor time on one core: "first"
on a segmenter that has seen nothing yet, "again" on the same texts with its chunk cache filled. It fails if a text
of ``--file`` takes more than 1.25 units a word; texts of the corpus are shown for comparison and have no bar.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Column, Table

from lexivert.artifacts import Paths, write_metrics
from lexivert.text.lexicon import CAP, CONTROL, FIRST_BYTE, JOIN, SPACE, UPPER, Lexicon
from lexivert.text.phrases import PhraseTrie, Place
from lexivert.text.segmentation import Segmenter
from lexivert.text.tokenizer import normalize

BAR_UNITS_A_WORD = 1.25
"""Most units a word of a text given by ``--file``."""


def main() -> None:
    """Print one table of figures and one of the contexts of spacing corrections, and fail if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--texts", type=int, default=5000, help="texts of each set")
    parser.add_argument("--file", type=Path, action="append", default=[], help="more text, one a line; <unk> skipped")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    options = parser.parse_args()
    paths = Paths(options.root)
    lexicon = Lexicon.load(paths.vocab)
    sets = corpus_sets(paths.corpus, options.texts)
    given = {str(path): file_lines(path) for path in options.file}
    sets |= given
    console = Console(width=140)
    table = Table(
        Column("texts", overflow="fold"),
        *("words", "units/word", "greedy", "<join>+<space>", "<cap>+<upper>", "pieces", "bytes"),
        *("first /s", "again /s", "join /s"),
        title=f"{len(lexicon)} units",
    )
    report: dict[str, dict[str, float]] = {}
    for name, texts in sets.items():
        report[name], row = figures(lexicon, texts)
        table.add_row(name, *row)
    console.print(table)
    for name, texts in sets.items():
        console.print(f"{name}: {corrections(Segmenter(lexicon), texts)}")
    if options.out:
        write_metrics(options.out, report)
    judge({name: report[name]["units_a_word"] for name in given})


def judge(units_a_word: dict[str, float]) -> None:
    """Say which of the texts keep the bar.

    Raises:
        SystemExit: one of them does not.
    """
    missed = [f"{name} takes {value:.4f}" for name, value in units_a_word.items() if not value <= BAR_UNITS_A_WORD]
    if missed:
        raise SystemExit(f"missed: at most {BAR_UNITS_A_WORD} units a word are wanted; {', '.join(missed)}")
    for name, value in units_a_word.items():
        print(f"held: {name} takes {value:.4f} units a word, at most {BAR_UNITS_A_WORD}")


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
        sets.setdefault(f"{source} {split}", []).append(text)
    return {name: texts[:: max(1, len(texts) // size)][:size] for name, texts in sorted(sets.items())}


def figures(lexicon: Lexicon, texts: Sequence[str]) -> tuple[dict[str, float], list[str]]:
    """Units a word and rates, and one row of the table; checks that every text comes back."""
    segmenter = Segmenter(lexicon)
    first, ids = timed(lambda: segmenter.segment_batch(texts))
    again, _ = timed(lambda: segmenter.segment_batch(texts))
    joining, joined = timed(lambda: [segmenter.join(units) for units in ids])
    assert joined == [normalize(text) for text in texts]
    words = sum(len(text.split()) for text in texts)
    uses = Counter(unit for units in ids for unit in units)
    pieces = sum(count for unit, count in uses.items() if lexicon.surfaces[unit].startswith("##"))
    bytes_ = sum(uses[unit] for unit in range(FIRST_BYTE, FIRST_BYTE + 256))
    greedy = sum(map(len, greedy_segmenter(lexicon).segment_batch(texts)))
    rates = [f"{len(texts) / seconds:,.0f}" for seconds in (first, again, joining)]
    shares = [uses[JOIN] + uses[SPACE], uses[CAP] + uses[UPPER], pieces, bytes_]
    per_word = [f"{uses.total() / words:.4f}", f"{greedy / words:.4f}", *(f"{share / words:.4f}" for share in shares)]
    report = {
        "units_a_word": uses.total() / words,
        "first_texts_per_second": len(texts) / first,
        "again_texts_per_second": len(texts) / again,
    }
    return report, [f"{words / len(texts):.1f}", *per_word, *rates]


def timed(work: Callable[[], list]) -> tuple[float, list]:  # type: ignore[type-arg]
    """Return processor seconds and result."""
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


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
    main()
