"""Runs every recipe of the token head's losses as a DVC experiment: ``python experiments/grid.py``.

Each becomes the experiment ``losses-<recipe>`` (`dvc exp show`, `dvc exp diff`), and its figures a row of
``experiments/losses.csv`` (rows of recipes that are not run stay), with half-widths of 95 % intervals over seeds. The
params files are left as they were. What the recipes are trained on must be there: after `make reproduce`, or
`dvc repro features lexical_maps`.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from lexivert import commands
from lexivert.artifacts import atomic_path
from lexivert.evaluation.loss_ablation import RECIPES

HERE = Path(__file__).resolve().parent
COLUMNS = {
    "margin": "margin",
    "purity_by_maps": "purity",
    "synonym_cosine": "synonym",
    "antonym_cosine": "antonym",
    "effective_rank": "rank",
    "anisotropy": "anisotropy",
    "exact_match_noisy": "exact, cosine .6",
    "exact_match_narrow": "exact, width 192",
}


def run_experiment(recipe: str) -> dict[str, float]:
    """Run one recipe as an experiment and return its metrics."""
    name = f"losses-{recipe.replace('_', '-')}"
    command = [
        sys.executable,
        "-m",
        "dvc",
        "exp",
        "run",
        "--single-item",
        "experiments/dvc.yaml",
        "--force",
        "--name",
    ]
    command += [name, "--set-param", f"experiments/params.yaml:recipe={recipe}"]
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.stderr.write(f"error: experiment {name} failed\n{done.stdout[-2000:]}{done.stderr[-2000:]}\n")
        raise SystemExit(1)
    report: dict[str, float] = json.loads((HERE / "losses.json").read_text(encoding="utf-8"))
    return report


def read_table(path: Path) -> dict[str, dict[str, float]]:
    """Figures of earlier runs by recipe; none if there is no table."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row.pop("recipe"): {name: float(value) for name, value in row.items() if value} for row in rows}


def show(reports: dict[str, dict[str, float]]) -> Table:
    """One row a recipe: mean and half-width of every figure."""
    table = Table(title="Recipes of the token head: mean ± half-width of the 95 % interval over seeds")
    table.add_column("recipe")
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    for recipe, report in reports.items():
        cells = [f"{report[key]:.3f} ± {report[f'{key}_half_width']:.3f}" if key in report else "" for key in COLUMNS]
        table.add_row(recipe.replace("_", " "), *cells)
    return table


def main(
    recipes: Annotated[list[str] | None, typer.Argument(help="Recipes to run; all if none is named.")] = None,
) -> None:
    """Run recipes as DVC experiments and write experiments/losses.csv."""
    chosen = recipes or list(RECIPES)
    unknown = next((recipe for recipe in chosen if recipe not in RECIPES), None)
    if unknown is not None:
        sys.stderr.write(f"error: recipe {unknown!r} is none of {', '.join(RECIPES)}\n")
        raise SystemExit(1)
    files = [HERE / name for name in ("params.yaml", "losses.json", "dvc.lock")]
    kept = {file: file.read_bytes() for file in files if file.exists()}
    reports: dict[str, dict[str, float]] = {}
    try:
        for recipe in tqdm(chosen, desc="recipes", unit="recipe"):
            reports[recipe] = run_experiment(recipe)
    finally:
        for file, content in kept.items():
            file.write_bytes(content)
    reports = read_table(HERE / "losses.csv") | reports
    reports = {recipe: reports[recipe] for recipe in RECIPES if recipe in reports}
    names = list(dict.fromkeys(name for report in reports.values() for name in report))
    with atomic_path(HERE / "losses.csv") as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["recipe", *names])
        writer.writerows([recipe, *(report.get(name, "") for name in names)] for recipe, report in reports.items())
    Console(width=160).print(show(reports))


if __name__ == "__main__":
    raise SystemExit(commands.run(lambda: typer.run(main), HERE))
