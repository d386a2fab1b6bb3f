"""Stage ``robustness``: exact match of every decoder where reading gets hard."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write metrics/robustness.json and metrics/plots/robustness.csv."""
    from lexivert.evaluation.robustness import run_robustness

    run_robustness(paths, params)
