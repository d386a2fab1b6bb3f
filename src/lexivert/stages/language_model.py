"""Stage ``language_model``: the causal language model, fetched and dequantised once, or named."""

from __future__ import annotations

from lexivert.artifacts import Paths, write_metrics
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write models/language_model/ and metrics/language_model.json."""
    from lexivert.language_model import storage

    write_metrics(paths.metrics("language_model"), storage.write(params.language_model.model, paths.language_model))
