"""Stage ``report``: one page with all results."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params
from lexivert.report.build import run_report


def run(paths: Paths, params: Params) -> None:
    """Write metrics/report.html."""
    run_report(paths, params)
