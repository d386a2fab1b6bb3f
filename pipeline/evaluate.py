"""Stage ``evaluate``: held-out texts to vectors and back, against three baselines."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run
from lexivert.artifacts import Paths
from lexivert.evaluation.suite import run_evaluation
from lexivert.params import load_params


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/evaluate.json, metrics/plots/exact_match.csv and metrics/plots/trace.csv."""
    run_evaluation(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
