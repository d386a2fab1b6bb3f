"""Tables for ``dvc plots``."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from lexivert import artifacts

Row = list[int | float | str]
"""Cells of a line."""


def write_table(path: Path, header: Sequence[str], rows: Sequence[Row]) -> None:
    """Write a CSV file, fractions with four decimal places, and every string below the header in quotes.

    So a unit such as ``12`` stays a string.
    """
    with artifacts.atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(header)
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        # A Decimal is written with its places and, unlike a formatted string, without quotes.
        writer.writerows(
            [Decimal(f"{cell:.4f}") if isinstance(cell, float) else cell for cell in row] for row in rows
        )
