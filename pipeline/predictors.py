"""Stage ``predictors``: whether anything that predicts vectors collapses to their mean."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run
from lexivert.artifacts import Paths
from lexivert.diagnostics.predictors import run_predictors
from lexivert.params import load_params


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/predictors.json."""
    run_predictors(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
