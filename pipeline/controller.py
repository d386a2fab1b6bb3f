"""Stage ``controller``: trains the Selector on half-known texts, and calibrates confidences."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.stages.controller import run_controller


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write models/controller/, metrics/controller.json and metrics/plots/controller.csv."""
    run_controller(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
