"""Stage ``token_space``: where units stand, in codes and in raw features."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.evaluation.token_space import run_token_space


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/token_space.json and its tables for ``dvc plots``."""
    run_token_space(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
