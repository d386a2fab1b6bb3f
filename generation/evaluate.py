"""Measures every generator on the same embeddings, the search's parts, and vectors that no text produced.

    python generation/evaluate.py --root . --params generation/params.yaml

Writes metrics/generation.json and metrics/plots/generation.csv (examples). The independent judge needs the extra
``dev``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lexivert import artifacts, commands
from lexivert.artifacts import Paths
from lexivert.evaluation import generation
from lexivert.generation.params import load_generation_params


def main(
    root: Annotated[Path, typer.Option(help="Project folder with a conditional model.")] = Path(),
    params: Annotated[Path, typer.Option(help="The numbers of the run.")] = Path("params.yaml"),
) -> None:
    """Write texts for embeddings and compare them with those that were embedded."""
    numbers, paths = load_generation_params(params), Paths(root)
    wikitext = params.parent / numbers.wikitext
    if not wikitext.is_file():
        sys.stderr.write(f"there is no file {wikitext}; its figures are left out\n")
    bench = generation.make_bench(root, numbers, wikitext if wikitext.is_file() else None)
    report, written = generation.generators_report(bench)
    report = {
        "generators": report,
        "ablation": generation.ablation_report(bench),
        "vectors": generation.strange_report(bench),
    }
    artifacts.write_metrics(paths.metrics("generation"), report)
    artifacts.write_csv(paths.plots / "generation.csv", generation.examples_table(bench, written))


if __name__ == "__main__":
    raise SystemExit(commands.run(lambda: typer.run(main), Path(__file__)))
