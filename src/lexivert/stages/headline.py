"""Stage ``headline``: the few figures that a change is judged by first, in one file for ``dvc metrics diff``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import Params
from lexivert.errors import DamagedArtifactError

FIGURES = {
    "exact_match": "evaluate clean cascade exact_match",
    "exact_match_noisy": "evaluate noisy cascade exact_match",
    "expected_calibration_error": "evaluate confidence expected_calibration_error",
    "full_definitions_ndcg_at_10": "sentence_space definitions full ndcg_at_10",
    "prefix_definitions_ndcg_at_10": "sentence_space definitions prefix ndcg_at_10",
    "selector_valid_nats_a_unit": "selector valid_nats_a_unit prefix_and_neighbours",
}
"""Name of a figure to where it stands: file below metrics/, then the keys. How like texts are found, which is what an
ordinary sentence embedding is for, is told by the definitions that example sentences look for."""


def run(paths: Paths, params: Params) -> None:
    """Write metrics/headline.json: figures of other stages, and a cascade's exact match in every decisive condition.

    Raises:
        LexivertError: a stage's metrics are missing or damaged.
    """
    places = FIGURES | {
        f"exact_match_{condition}": f"robustness {condition} cascade exact_match"
        for condition in params.robustness.decisive
    }
    artifacts.write_metrics(
        paths.metrics("headline"), {name: _figure(paths, where) for name, where in places.items()}
    )


def _figure(paths: Paths, where: str) -> Any:
    stage, *keys = where.split()
    path = paths.metrics(stage)
    found: Any = artifacts.read_json(path)
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            raise DamagedArtifactError(f"{path} has no {'.'.join(keys)}; run `dvc repro {stage}`")
        found = found[key]
    return found
