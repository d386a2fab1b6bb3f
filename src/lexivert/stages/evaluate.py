"""Stage ``evaluate``: held-out texts to vectors and back, beside other decoders."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write metrics/evaluate.json and the tables exact_match, reliability and trace of metrics/plots."""
    from lexivert.evaluation.round_trip import run_evaluation

    run_evaluation(paths, params)
