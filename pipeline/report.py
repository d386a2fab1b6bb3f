"""Stage ``report``: one page with all results."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.report.build import run_report


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/report.html."""
    run_report(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
