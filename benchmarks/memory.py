"""Memory that reading vectors back takes beyond the rest of the program, against the size of the index.

What counts as the index is the folder `models/index`: unit codes, and FAISS's file, which a Flat index maps into
memory and does not read when vectors are read back. The share of the unit codes alone is printed beside it.

Two processes load backbone and lexicon and embed the same texts; one of them loads the index and the controller too,
and reads vectors back. The difference of their largest resident sets is what reading costs.

    python benchmarks/memory.py --out metrics/benchmarks/memory.json
"""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from common import peak_bytes, run_command
from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.evaluation.texts import texts_of
from lexivert.model import Lexivert
from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter
from speed import DECODED_WORDS, of_about

BAR = 1.5
_MEGABYTE = 1e6


def peak(root: Path, texts: list[str], *, reading: bool) -> float:
    """Largest resident set, in bytes, of a process that embeds texts and, if told so, reads their vectors back."""
    if reading:
        model = Lexivert.load(root)
        model.encoder.backbone.encode(texts)
        model.decode(model.encode(texts))
    else:
        paths = Paths(root)
        segmenter = Segmenter(Lexicon.load(paths.vocab))
        HuggingFaceEncoder.load(ModelConfig.load(paths.index).backbone).encode(texts)
        for text in texts:
            segmenter.segment(text)
    return float(peak_bytes())


def measured(root: Path, texts: list[str], *, reading: bool) -> float:
    """``peak`` in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(peak, (root, texts), {"reading": reading})


def figures_of(folder: Path, reading: float, rest: float) -> dict[str, float]:
    """What reading takes, over the size of the index and of the unit codes.

    Args:
        folder: of the index.
        reading: peak of the process that reads, in bytes.
        rest: peak of the one that does not.
    """
    index = float(sum(file.stat().st_size for file in folder.iterdir()))
    return {
        "index_megabytes": index / _MEGABYTE,
        "peak_megabytes": reading / _MEGABYTE,
        "peak_without_reading_megabytes": rest / _MEGABYTE,
        "reading_to_index": (reading - rest) / index,
        "reading_to_codes": (reading - rest) / (folder / artifacts.UNIT_CODES).stat().st_size,
    }


def missed(figures: dict[str, float]) -> bool:
    """Whether reading takes more than the bar allows, or its figure is no number."""
    return not figures["reading_to_index"] <= BAR


def main(
    root: Annotated[Path, typer.Option(help="Folder of a trained project.")] = Path(),
    texts: Annotated[int, typer.Option(help="Texts read back, 64 at a time.", min=1)] = 128,
    out: Annotated[Path | None, typer.Option(help="Write the figures as JSON.")] = None,
) -> None:
    """Measure, print, write the figures, and fail if reading takes more than the bar allows."""
    found = texts_of(Paths(root), "test")
    drawn = [found[row] for row in np.random.default_rng(0).permutation(len(found)).tolist()]
    chosen = of_about(DECODED_WORDS, drawn, texts)
    peaks = [measured(root, chosen, reading=reading) for reading in (True, False)]
    figures = figures_of(Paths(root).index, *peaks)
    for name, value in figures.items():
        Console().print(f"{name} {value:.4g}")
    if out is not None:
        artifacts.write_metrics(out, figures)
    if missed(figures):
        Console().print(f"[red]missed:[/] reading takes more than {BAR:g} times the index")
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
