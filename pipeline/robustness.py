"""Stage ``robustness``: every decoder where reading gets hard."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.evaluation.robustness import run_robustness


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/robustness.json and metrics/plots/robustness.csv."""
    run_robustness(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
