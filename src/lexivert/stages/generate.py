"""Stage ``generate``: every generator on the same embeddings, the search's parts, vectors that no text produced."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write metrics/generation/generate.json and .csv; see ``evaluation.generation``."""
    del params
    from lexivert.evaluation.generation import run_generation

    run_generation(paths)
