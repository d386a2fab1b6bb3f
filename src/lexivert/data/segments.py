"""The corpus in units: written once by stage ``vocab``, read wherever texts and their embeddings are needed.

``segments.parquet`` has a row for every row of ``corpus.parquet``, in the same order, with one column, ``units``: the
sentence as ``Segmenter`` writes it, EOS left out. Subword-regularised spellings are not in it: they depend on the
seed, on which training sentences have features and on ``selector.max_train_units``, none of which the vocabulary
depends on; stage ``selector`` draws them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.text.tokenizer import normalize

SCHEMA = pa.schema([("units", pa.list_(pa.int32()))])


def write_segments(
    path: Path, rows: Mapping[str, npt.NDArray[np.int64]], segments: Mapping[str, pa.ListArray]
) -> None:
    """Write the segments of all splits in corpus order.

    Args:
        path: ``segments.parquet``.
        rows: corpus rows of each split; together they are all rows.
        segments: unit ids of each split's sentences.
    """
    order = np.argsort(np.concatenate([rows[split] for split in segments]), kind="stable")
    units = pa.concat_arrays(list(segments.values())).take(pa.array(order))
    artifacts.write_parquet(path, {"units": units}, SCHEMA)


def read_segments(paths: Paths, sentences: int) -> pa.ChunkedArray:
    """Unit ids of every sentence of the corpus, a list a row.

    Args:
        paths: of the project.
        sentences: rows of the corpus.

    Raises:
        MissingArtifactError, DamagedArtifactError: the file is not there or belongs to another corpus.
    """
    units = artifacts.read_parquet(paths.segments, ["units"])["units"]
    if len(units) != sentences:
        raise DamagedArtifactError(
            f"{paths.segments} has {len(units)} rows for {sentences} sentences; run `dvc repro vocab`"
        )
    return units


def read_encoded_texts(paths: Paths, split: str, most_units: int | None = None) -> EncodedTexts:
    """Sentences of a split that have features, with their units, in corpus order.

    Prefixes are the features at unit length, rounded to float16 as the features themselves are stored.

    Args:
        paths: of a project whose stages ``vocab`` and ``features`` have run.
        split: train, valid or test.
        most_units: longer sentences are left out; so are those without any unit.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is not there or doesn't fit the others.
        LexivertError: no sentence is left.
    """
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    segments = read_segments(paths, len(corpus))
    features = artifacts.read_array(paths.sentence_features, mmap=True)
    rows = artifacts.read_array(paths.sentence_rows)
    splits = corpus["split"].to_numpy(zero_copy_only=False)
    lengths = pc.list_value_length(segments).to_numpy()[rows]
    fits = (lengths > 0) & (lengths <= (lengths.max(initial=0) if most_units is None else most_units))
    places = np.flatnonzero((splits[rows] == split) & fits)
    if not len(places):
        limit = "" if most_units is None else f" of at most {most_units} units"
        raise LexivertError(f"no {split} sentence{limit} has features; run `dvc repro features`")
    prefixes = features[places].astype(np.float32)
    prefixes /= np.linalg.norm(prefixes, axis=1, keepdims=True)
    chosen = pa.array(rows[places])
    return EncodedTexts(
        texts=[normalize(text) for text in corpus["text"].take(chosen).to_pylist()],
        units=segments.take(chosen).to_pylist(),
        prefixes=torch.from_numpy(prefixes.astype(np.float16).astype(np.float32)),
    )
