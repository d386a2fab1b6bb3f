"""Metrics and curves of earlier stages, read for the page."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.errors import DamagedArtifactError

Line = dict[str, str]


def read_metrics(paths: Paths, stage: str) -> dict[str, Any]:
    """Metrics of a stage.

    Raises:
        MissingArtifactError, DamagedArtifactError: they are not there, or not JSON.
    """
    content: dict[str, Any] = artifacts.read_json(paths.metrics(stage))
    return content


def read_lines(paths: Paths, name: str) -> list[Line]:
    """Rows of a table in metrics/plots.

    Raises:
        MissingArtifactError, DamagedArtifactError: it is not there, or has no header.
    """
    path = artifacts.require(paths.plots / f"{name}.csv")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if not reader.fieldnames:
            raise DamagedArtifactError(f"{path} has no header; delete it and run `dvc repro`")
        return list(reader)


def numbers(lines: Sequence[Line], column: str) -> list[float]:
    """A column as numbers; an empty cell is NaN."""
    return [float(line[column]) if line[column] else float("nan") for line in lines]


def columns(lines: Sequence[Line], names: Sequence[str], labels: Sequence[str] = ()) -> dict[str, list[float]]:
    """Some columns as numbers, under other names if ``labels`` are given; columns that aren't there are left out."""
    there = lines[0].keys() if lines else ()
    pairs = zip(names, labels or names, strict=True)
    return {label: numbers(lines, name) for name, label in pairs if name in there}


def readable(name: str) -> str:
    """A metric's key as words."""
    return name.replace("_", " ")
