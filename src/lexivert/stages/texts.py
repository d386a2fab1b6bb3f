"""Stage ``texts``: which files of the user's stage ``fetch`` reads, for DVC to see when one of them changes.

``corpus.folder`` may hold anything; only this stage, which takes a second, depends on all of it. ``fetch`` depends on
the list that is written here, so that what it does not read downloads nothing again.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from lexivert.artifacts import Paths, atomic_path
from lexivert.config import CorpusParams, Params
from lexivert.data.sources import local_dataset, user_files


def run(paths: Paths, params: Params) -> None:
    """Write data/texts.txt: the source, and a line for every file that is read, its digest and name.

    Raises:
        LexivertError: a file or folder is not there, or not what it should be.
    """
    lines = [f"{_digest(path)} {path.as_posix()}\n" for path in read_files(params.corpus)]
    with atomic_path(paths.corpus.with_name("texts.txt")) as temporary:
        temporary.write_text("".join([f"{params.corpus.source}\n", *lines]), encoding="utf-8")


def read_files(params: CorpusParams) -> list[Path]:
    """Files of ``corpus.folder`` that stage ``fetch`` reads: the named ones, or all of a dataset.

    Raises:
        LexivertError: as ``run``.
    """
    if params.source == "files":
        return user_files(params)
    dataset = local_dataset(params) if params.source == "datasets" else None
    found = os.walk(dataset, followlinks=True) if dataset is not None else ()
    return sorted(Path(folder, name) for folder, _, names in found for name in names)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
