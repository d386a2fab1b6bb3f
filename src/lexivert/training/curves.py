"""Training curves: means of every loss component, as metrics and as a table for ``dvc plots``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lexivert.artifacts import write_csv

History = Sequence[Mapping[str, float]]
"""Means of every component, entry by entry."""


def by_epoch(history: History) -> dict[str, dict[str, float]]:
    """Means of every component, keyed ``epoch_01``, ``epoch_02`` and so on."""
    return {f"epoch_{epoch:02d}": dict(means) for epoch, means in enumerate(history, start=1)}


def write_curves(path: Path, history: History, column: str = "epoch", span: int = 1) -> None:
    """Write one row for each entry of a history: where it ends, then each component to six significant digits.

    Args:
        path: the table.
        history: means of every component; one that an entry lacks leaves its cell empty.
        column: name of the first column: what it counts.
        span: how many of these an entry is the mean of.
    """
    import pandas as pd

    names = sorted({name for means in history for name in means})
    table = pd.DataFrame(list(history), columns=names, dtype=float)
    table.insert(0, column, range(span, span * len(table) + 1, span))
    write_csv(path, table, "%.6g")
