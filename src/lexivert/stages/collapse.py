"""Stage ``collapse``: whether anything that predicts vectors collapses to their mean."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write metrics/collapse.json."""
    from lexivert.evaluation.collapse import run_collapse

    run_collapse(paths, params)
