"""Stage ``export``: the trained model as a folder that travels, ``models/lexivert``."""

from __future__ import annotations

from pathlib import Path

from lexivert.artifacts import Paths, write_metrics
from lexivert.config import Params


def run(paths: Paths, _params: Params) -> None:
    """Write models/lexivert/, backbone included, and its size in bytes to metrics/export.json.

    Args:
        paths: of the project; the lexicon, models/index and models/controller are read.
        _params: not used: the model knows the params that it was made with.

    Raises:
        LexivertError: an artifact is missing or damaged.
    """
    from lexivert.controller import model_folder, storage

    encoder, decoder = storage.load_model(paths)
    model_folder.write(paths.exported, encoder, decoder)
    parts = {part.stem.lower(): _size(part) for part in paths.exported.iterdir()}
    write_metrics(paths.metrics("export"), {"bytes": sum(parts.values()), "bytes_by_part": parts})


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
