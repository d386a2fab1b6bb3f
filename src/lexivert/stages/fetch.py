"""Stage ``fetch``: source texts, WordNet and word lists into ``data/raw``."""

from __future__ import annotations

from lexivert.artifacts import Paths, write_metrics
from lexivert.config import Params
from lexivert.data.fetch import fetch


def run(paths: Paths, params: Params) -> None:
    """Bring the chosen source's texts, WordNet and word lists into data/raw; write metrics/fetch.json."""
    write_metrics(paths.metrics("fetch"), fetch(paths, params.corpus, word_lists=bool(params.vocab.languages)))
