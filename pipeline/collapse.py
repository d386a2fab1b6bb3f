"""Stage ``collapse``: whether anything that predicts vectors collapses to their mean."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.evaluation.collapse import run_collapse


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/collapse.json."""
    run_collapse(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
