"""Stage ``report``: one page with all results."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write metrics/report.html."""
    from lexivert.report.build import run_report  # with plotly and pandas, which take long to import

    run_report(paths, params)
