"""Stage ``lexical_maps``: WordNet's relations between the units."""

from __future__ import annotations

from lexivert.artifacts import Paths, write_metrics, write_parquet
from lexivert.config import Params


def run(paths: Paths, params: Params) -> None:
    """Write data/synonyms.parquet, data/antonyms.parquet and metrics/lexical_maps.json."""
    from lexivert.data.lexical_maps import lexical_maps
    from lexivert.data.relations import SCHEMA
    from lexivert.data.wordnet import WordNet
    from lexivert.text.lexicon import Lexicon

    lexicon, limits = Lexicon.load(paths.vocab), params.lexical_maps
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
