"""Stage ``sentence_space``: what the parts of a sentence vector are good for."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write metrics/sentence_space.json and metrics/plots/order_awareness.csv."""
    from lexivert.evaluation.sentence_space import run_sentence_space

    run_sentence_space(paths, params)
