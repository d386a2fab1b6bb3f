"""Stage ``frontier``: every decoder where reading gets hard."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run
from lexivert.artifacts import Paths
from lexivert.evaluation.frontier import run_frontier
from lexivert.params import load_params


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/frontier.json and metrics/plots/frontier.csv."""
    run_frontier(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
