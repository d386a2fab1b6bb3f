"""Stage ``corpus``: raw documents to sentences, split by document."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths, write_metrics, write_parquet
from lexivert.config import load_params
from lexivert.data.corpus import SCHEMA, build_corpus, corpus_metrics, read_documents, require_every_split


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write data/corpus.parquet."""
    paths, settings = Paths(root), load_params(params)
    table, dropped = build_corpus(read_documents(paths, settings.corpus), settings.corpus, settings.seed)
    require_every_split(table, dropped, settings.corpus)
    write_parquet(paths.corpus, {name: table[name] for name in SCHEMA.names}, SCHEMA)
    write_metrics(paths.metrics("corpus"), corpus_metrics(table, dropped))


if __name__ == "__main__":
    run(main)
