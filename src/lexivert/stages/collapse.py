"""Stage ``collapse``: whether anything that predicts vectors collapses to their mean."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params
from lexivert.evaluation.collapse import run_collapse


def run(paths: Paths, params: Params) -> None:
    """Write metrics/collapse.json."""
    run_collapse(paths, params)
