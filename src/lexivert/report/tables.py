"""Metrics and tables of earlier stages, read for the page and laid out by pandas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lexivert import artifacts
from lexivert.artifacts import Paths

if TYPE_CHECKING:
    import pandas as pd

_SPELLED = {"map": "MAP", "mrr": "MRR", "adjusted rand": "adjusted Rand", "v measure": "V-measure"}


def read_metrics(paths: Paths, stage: str) -> dict[str, Any]:
    """Metrics of a stage.

    Raises:
        MissingArtifactError, DamagedArtifactError: they are not there, or not JSON.
    """
    content: dict[str, Any] = artifacts.read_json(paths.metrics(stage))
    return content


def read_table(paths: Paths, name: str, *strings: str) -> pd.DataFrame:
    """A table in metrics/plots.

    Args:
        paths: of the project.
        name: without the ending.
        strings: columns of text, which may look like numbers.

    Raises:
        MissingArtifactError, DamagedArtifactError: it is not there, or no table.
    """
    return artifacts.read_csv(paths.plots / f"{name}.csv", strings)


def layout(
    rows: Mapping[str, Mapping[str, Any]], columns: Mapping[str, str], index: str, default: float | None = None
) -> pd.DataFrame:
    """Some figures of some sections of a report, side by side.

    Args:
        rows: label of each row, and its section.
        columns: key of each figure in a section, and its label.
        index: what the rows are.
        default: for a figure that a section lacks.

    Raises:
        KeyError: a section lacks a figure, and there is no default.
    """
    import pandas as pd

    found = {
        label: {
            column: float(section[key] if default is None else section.get(key, default))
            for key, column in columns.items()
        }
        for label, section in rows.items()
    }
    frame = pd.DataFrame.from_dict(found, orient="index", columns=list(columns.values()), dtype=float)
    return frame.rename_axis(index)


def columns(table: pd.DataFrame, labels: Mapping[str, str]) -> dict[str, list[float]]:
    """Some columns as numbers under their labels; those that aren't there are left out."""
    return {label: table[name].astype(float).tolist() for name, label in labels.items() if name in table.columns}


def readable(name: str) -> str:
    """A metric's key as words, as the field spells them."""
    words = name.replace("_", " ")
    return _SPELLED.get(words) or words.replace("ndcg", "nDCG")
