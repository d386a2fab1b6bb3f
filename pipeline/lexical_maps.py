"""Stage ``lexical_maps``: WordNet's relations between the units."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths, write_metrics, write_parquet
from lexivert.config import load_params
from lexivert.data.lexical_maps import lexical_maps
from lexivert.data.relations import SCHEMA
from lexivert.data.wordnet import WordNet
from lexivert.text.lexicon import Lexicon


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write data/synonyms.parquet and data/antonyms.parquet."""
    paths, limits = Paths(root), load_params(params).lexical_maps
    lexicon = Lexicon.load(paths.vocab)
    maps = lexical_maps(
        lexicon.surfaces,
        lexicon.kinds,
        WordNet(paths.wordnet),
        max_synonyms=limits.max_synonyms,
        max_siblings=limits.max_siblings,
    )
    write_parquet(paths.synonyms, maps.table(["synonym", "inflection", "sibling"]), SCHEMA)
    write_parquet(paths.antonyms, maps.table(["antonym"]), SCHEMA)
    write_metrics(paths.metrics("lexical_maps"), maps.metrics())


if __name__ == "__main__":
    run(main)
