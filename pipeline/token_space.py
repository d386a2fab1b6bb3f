"""Stage ``token_space``: where units stand, in codes and in raw features."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run
from lexivert.artifacts import Paths
from lexivert.diagnostics.token_space import run_token_space
from lexivert.params import load_params


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/token_space.json and its tables for ``dvc plots``."""
    run_token_space(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
