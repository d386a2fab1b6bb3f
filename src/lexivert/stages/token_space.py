"""Stage ``token_space``: where units stand, in codes and in raw features."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write metrics/token_space.json and the tables homographs, neighbours and pair_cosines of metrics/plots."""
    from lexivert.evaluation.token_space import run_token_space

    run_token_space(paths, params)
