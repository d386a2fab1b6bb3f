"""Stage ``evaluate``: held-out texts to vectors and back, against three baselines."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.evaluation.round_trip import run_evaluation


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/evaluate.json, metrics/plots/exact_match.csv and metrics/plots/trace.csv."""
    run_evaluation(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
