"""Show the table of results: ``python scripts/show_results.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lexivert import commands
from lexivert.artifacts import Paths, read_json

COLUMNS = {
    "exact_match": "exact",
    "unit_accuracy": "units",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rougeL": "ROUGE-L",
    "token_f1": "token F1",
    "backbone_cosine": "cosine",
}


def results(report: dict[str, Any]) -> Table:
    """One row a decoder and condition, out of ``metrics/evaluate.json``."""
    table = Table(title=f"{report['texts']} held-out texts of 1 to 40 words, read back from their vectors")
    for name in ("vector", "decoder", *COLUMNS.values(), "texts/s"):
        table.add_column(name, justify="left" if name in {"vector", "decoder"} else "right")
    for condition in ("clean", "noisy"):
        for decoder, scores in report[condition].items():
            figures = [f"{scores[key]:.1f}" if scores[key] > 1 else f"{scores[key]:.3f}" for key in COLUMNS]
            rate = f"{report['rates'][f'{decoder}_texts_per_second']:.0f}" if condition == "clean" else ""
            table.add_row(condition, decoder, *figures, rate)
    return table


def main() -> None:
    """Print the table."""
    Console(width=110).print(results(read_json(Paths(Path()).metrics("evaluate"))))


if __name__ == "__main__":
    raise SystemExit(commands.run(main, Path(__file__)))
