"""Stage ``corpus``: raw documents to sentences, split by document."""

from __future__ import annotations

from lexivert.artifacts import Paths, write_metrics, write_parquet
from lexivert.config import Params
from lexivert.data.corpus import SCHEMA, build_corpus, corpus_metrics, read_documents, require_every_split


def run(paths: Paths, params: Params) -> None:
    """Write data/corpus.parquet and metrics/corpus.json."""
    table, dropped = build_corpus(read_documents(paths, params.corpus), params.corpus, params.seed)
    require_every_split(table, dropped, params.corpus)
    write_parquet(paths.corpus, {name: table[name] for name in SCHEMA.names}, SCHEMA)
    write_metrics(paths.metrics("corpus"), corpus_metrics(table, dropped))
