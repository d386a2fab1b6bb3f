"""Training curves as metrics and as a table for ``dvc plots``."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from lexivert.artifacts import atomic_path


def by_epoch(history: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Means of every component, keyed ``epoch_01``, ``epoch_02`` and so on."""
    return {f"epoch_{epoch:02d}": dict(means) for epoch, means in enumerate(history, start=1)}


def write_curves(path: Path, history: Sequence[Mapping[str, float]], column: str = "epoch", span: int = 1) -> None:
    """Write one row for each entry of a history: where it ends, then each component to six significant digits.

    Args:
        path: the table.
        history: means of every component, entry by entry.
        column: name of the first column: what it counts.
        span: how many of these an entry is the mean of.
    """
    names = sorted({name for means in history for name in means})
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([column, *names])
        for number, means in enumerate(history, start=1):
            writer.writerow([number * span, *(f"{means[name]:.6g}" if name in means else "" for name in names)])
