from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

from lexivert.artifacts import Paths, write_array, write_parquet
from lexivert.data.corpus import SCHEMA as CORPUS_SCHEMA
from lexivert.data.segments import SCHEMA, read_encoded_texts, read_segments, write_segments
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError

SPLITS = ["train", "valid", "train", "test", "train", "train"]
SENTENCES = ["a b", "c", "cafe\u0301", "e f g", "...", "h i j k"]  # the third is not in NFC
UNITS = [[1, 2], [3], [4], [5, 6, 7], [], [8, 9, 10, 11]]
ROWS = [0, 1, 2, 4, 5]  # the test sentence has no features
FEATURES = np.array([[3, 4], [0, 2], [1, 1], [5, 0], [-1, 0]], dtype=np.float16)


@pytest.fixture
def paths(tmp_path):
    paths = Paths(tmp_path)
    columns = {"doc_id": ["d"] * 6, "source": ["files"] * 6, "split": SPLITS, "text": SENTENCES}
    write_parquet(paths.corpus, columns, CORPUS_SCHEMA)
    write_parquet(paths.segments, {"units": UNITS}, SCHEMA)
    write_array(paths.sentence_rows, np.array(ROWS))
    write_array(paths.sentence_features, FEATURES)
    return paths


def test_segments_of_the_splits_are_written_in_corpus_order(paths):
    rows = {name: np.flatnonzero(np.array(SPLITS) == name) for name in ("train", "valid", "test")}
    segments = {
        name: pa.array([UNITS[row] for row in chosen.tolist()], pa.list_(pa.int32())) for name, chosen in rows.items()
    }
    paths.segments.unlink()
    write_segments(paths.segments, rows, segments)
    assert read_segments(paths, 6).to_pylist() == UNITS


def test_sentences_of_a_split_that_have_features_come_with_units_and_prefixes(paths):
    """Row 4 has no unit. (3, 4) has length 5, (1, 1) root 2."""
    texts = read_encoded_texts(paths, "train")
    assert texts.texts == ["a b", "caf\u00e9", "h i j k"]
    assert texts.units == [[1, 2], [4], [8, 9, 10, 11]]
    expected = torch.tensor([[0.6, 0.8], [0.5**0.5, 0.5**0.5], [-1.0, 0.0]])
    torch.testing.assert_close(texts.prefixes, expected, atol=5e-4, rtol=0)
    assert texts.prefixes.dtype == torch.float32
    assert torch.equal(texts.prefixes, texts.prefixes.half().float())


def test_long_sentences_are_left_out(paths):
    assert read_encoded_texts(paths, "train", most_units=2).units == [[1, 2], [4]]
    assert read_encoded_texts(paths, "train", most_units=1).units == [[4]]
    assert read_encoded_texts(paths, "valid", most_units=1).units == [[3]]


def test_a_split_without_sentences_says_so(paths):
    with pytest.raises(LexivertError, match="no test sentence has features; run `dvc repro features`"):
        read_encoded_texts(paths, "test")
    with pytest.raises(LexivertError, match="no train sentence of at most 0 units has features"):
        read_encoded_texts(paths, "train", most_units=0)


def test_segments_of_another_corpus_are_refused(paths):
    with pytest.raises(DamagedArtifactError, match="has 6 rows for 7 sentences; run `dvc repro vocab`"):
        read_segments(paths, 7)
    paths.segments.unlink()
    with pytest.raises(MissingArtifactError, match="run `dvc repro vocab` first"):
        read_encoded_texts(paths, "train")
