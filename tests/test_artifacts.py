from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError

SCHEMA = pa.schema([("name", pa.string()), ("count", pa.int32())])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_content(tmp_path):
    target = tmp_path / "out" / "file.txt"
    with artifacts.atomic_path(target) as temporary:
        temporary.write_text("old")

    def fail():
        with artifacts.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert target.read_text() == "old"
    assert names(target.parent) == ["file.txt"]


def test_a_failed_folder_leaves_nothing(tmp_path):
    def fail():
        with artifacts.atomic_path(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / "part").write_text("half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert names(tmp_path) == []


def test_a_folder_is_replaced_whole(tmp_path):
    for name in ("first", "second"):
        with artifacts.atomic_path(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / name).write_text(name)
    assert names(tmp_path / "folder") == ["second"]


def test_parquet_round_trip_and_errors(tmp_path):
    path = Paths(tmp_path).vocab
    artifacts.write_parquet(path, {"name": ["a", "b"], "count": [1, 2]}, SCHEMA)
    table = artifacts.read_parquet(path, ["count"])
    assert table.to_pydict() == {"count": [1, 2]}
    with pytest.raises(DamagedArtifactError, match=r"vocab.parquet"):
        artifacts.read_parquet(path, ["surface"])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DamagedArtifactError, match=r"vocab.parquet is not a readable Parquet file") as caught:
        artifacts.read_parquet(path)
    assert "\n" not in str(caught.value)


def test_same_table_same_bytes(tmp_path):
    for name in ("a", "b"):
        artifacts.write_parquet(tmp_path / name, {"name": ["x"] * 1000, "count": list(range(1000))}, SCHEMA)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_array_round_trip_and_errors(tmp_path):
    path = Paths(tmp_path).unit_features
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    artifacts.write_array(path, array)
    for mmap in (False, True):
        read = artifacts.read_array(path, mmap=mmap)
        assert read.dtype == np.float16
        np.testing.assert_array_equal(read, array)
    path.write_bytes(path.read_bytes()[:-2])
    for mmap in (False, True):
        with pytest.raises(DamagedArtifactError, match=r"unit_features.npy is not a readable"):
            artifacts.read_array(path, mmap=mmap)
    artifacts.write_array(path, np.array([1]))
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DamagedArtifactError):
        artifacts.read_array(path)


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        (Paths().corpus, "corpus"),
        (Paths().wordnet / "data.noun", "fetch"),
        (Paths().antonyms, "lexical_maps"),
        (Paths().index / "units.faiss", "index"),
        (Paths().sentence_rows, "features"),
        (Path("notes.txt"), None),
    ],
)
def test_missing_files_name_the_stage_to_run(tmp_path, path, stage):
    assert artifacts.producer(path) == stage
    with pytest.raises(MissingArtifactError, match=f"run `dvc repro {stage}` first" if stage else "is missing$"):
        artifacts.require(tmp_path / path)


def test_metrics_are_sorted_rounded_and_finite(tmp_path):
    path = Paths(tmp_path).metrics("stage")
    artifacts.write_metrics(path, {"b": np.float32(0.1), "a": {"z": 1, "y": 1234567.891, "x": np.int64(3)}})
    assert path.read_text() == '{\n  "a": {\n    "x": 3,\n    "y": 1234570.0,\n    "z": 1\n  },\n  "b": 0.1\n}\n'
    assert artifacts.read_json(path)["a"]["x"] == 3
    for bad in (float("nan"), float("inf"), [1.0], None):
        with pytest.raises(LexivertError, match=r"metric a\.b is"):
            artifacts.write_metrics(path, {"a": {"b": bad}})
    assert artifacts.read_json(path)["b"] == 0.1


def test_json_errors(tmp_path):
    with pytest.raises(MissingArtifactError):
        artifacts.read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(DamagedArtifactError, match="not valid JSON"):
        artifacts.read_json(tmp_path / "x.json")
