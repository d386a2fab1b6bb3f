from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

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


def write_text(path, text):
    with artifacts.atomic_path(path) as temporary:
        temporary.write_text(text)


def write_folder(path, text):
    with artifacts.atomic_path(path) as temporary:
        (temporary / "inner").mkdir(parents=True)
        (temporary / "inner" / "part").write_text(text)


class TestLinks:
    @pytest.fixture
    def place(self, tmp_path):
        """A folder of links, and one that they lead to."""
        for name in ("links", "disk"):
            (tmp_path / name).mkdir()
        return tmp_path

    @pytest.mark.parametrize("relative", [True, False])
    @pytest.mark.parametrize("there", [True, False])
    def test_a_links_target_is_written_and_the_link_stays(self, place, relative, there):
        target = place / "disk" / "file.txt"
        if there:
            target.write_text("old")
        (place / "links" / "second").symlink_to("../disk/file.txt" if relative else target)
        (place / "links" / "first").symlink_to("second")
        write_text(place / "links" / "first", "new")
        assert target.read_text() == "new"
        assert not target.is_symlink()
        assert [path.is_symlink() for path in (place / "links").iterdir()] == [True, True]
        assert names(place / "links") == ["first", "second"]
        assert names(place / "disk") == ["file.txt"]

    def test_a_link_to_a_folder(self, place):
        (place / "links" / "models").symlink_to("../disk/models")
        for text in ("first", "second"):
            write_folder(place / "links" / "models", text)
            assert (place / "disk" / "models" / "inner" / "part").read_text() == text
        assert (place / "links" / "models").is_symlink()
        assert names(place / "disk") == ["models"]

    def test_a_link_in_the_way_to_a_file(self, place):
        (place / "links" / "data").symlink_to(place / "disk")
        write_text(place / "links" / "data" / "sub" / "file.txt", "new")
        assert (place / "disk" / "sub" / "file.txt").read_text() == "new"

    def test_a_failure_leaves_link_and_target(self, place):
        (place / "disk" / "file.txt").write_text("old")
        (place / "links" / "file.txt").symlink_to("../disk/file.txt")

        def fail():
            with artifacts.atomic_path(place / "links" / "file.txt") as temporary:
                temporary.write_text("half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fail()
        assert (place / "links" / "file.txt").read_text() == "old"
        assert names(place / "disk") == names(place / "links") == ["file.txt"]

    def test_devices_pipes_and_endless_links_are_refused(self, place):
        os.mkfifo(place / "disk" / "pipe")
        for name, target in {"null": "/dev/null", "pipe": place / "disk" / "pipe", "loop": "loop"}.items():
            (place / "links" / name).symlink_to(target)
            with pytest.raises(LexivertError, match=rf"{name} is a "):
                write_text(place / "links" / name, "new")
            assert (place / "links" / name).is_symlink()
        assert not Path("/dev/null").is_file()

    def test_what_dvcs_cache_holds_is_never_changed(self, place):
        cached = place / "cache" / "files" / "md5" / "ab" / "cdef"
        cached.parent.mkdir(parents=True)
        cached.write_text("old")
        (place / "links" / "out.txt").symlink_to(cached)
        write_text(place / "links" / "out.txt", "new")
        assert cached.read_text() == "old"
        assert (place / "links" / "out.txt").read_text() == "new"
        assert not (place / "links" / "out.txt").is_symlink()


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_modes_are_those_of_the_umask(tmp_path, mask):
    former = os.umask(mask)
    try:
        save_file({"codes": torch.zeros(1)}, tmp_path / "bare.safetensors")
        with artifacts.atomic_path(tmp_path / "folder") as temporary:
            (temporary / "inner").mkdir(parents=True)
            save_file({"codes": torch.zeros(1)}, temporary / "inner" / "codes.safetensors")
        with artifacts.atomic_path(tmp_path / "codes.safetensors") as temporary:
            save_file({"codes": torch.zeros(1)}, temporary)
            temporary.chmod(0o600)
        artifacts.write_json(tmp_path / "metrics.json", {})
        now = os.umask(mask)
    finally:
        os.umask(former)
    assert now == mask
    folders = [tmp_path / "folder", tmp_path / "folder" / "inner"]
    files = [
        tmp_path / "folder" / "inner" / "codes.safetensors",
        tmp_path / "codes.safetensors",
        tmp_path / "metrics.json",
    ]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o777 & ~mask}
    assert {path.stat().st_mode & 0o777 for path in files} == {0o666 & ~mask}


def test_a_long_name_and_a_place_that_can_not_be_written(tmp_path):
    name = "é" * 120 + ".txt"
    write_text(tmp_path / name, "new")
    assert names(tmp_path) == [name]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        write_text(tmp_path / "file" / "below", "new")
    with pytest.raises(FileNotFoundError) as caught, artifacts.atomic_path(tmp_path / "mine") as temporary:
        temporary.read_text()
    assert caught.value.filename == str(tmp_path / "mine")


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
    with path.open("wb") as file:
        np.savez(file, array)
    for mmap in (False, True):
        with pytest.raises(DamagedArtifactError, match=r"unit_features.npy is not a readable"):
            artifacts.read_array(path, mmap=mmap)


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
    for content in ("{", "[" * 100_000):
        (tmp_path / "x.json").write_text(content)
        with pytest.raises(DamagedArtifactError, match="not valid JSON"):
            artifacts.read_json(tmp_path / "x.json")


def test_a_column_of_numbers():
    table = pa.table({"whole": pa.chunked_array([[1], [2, 3]]), "some": [1, None, 3], "text": ["a", "b", "c"]})
    found = artifacts.numbers(Path("t.parquet"), table, "whole")
    assert (found.tolist(), found.dtype) == ([1, 2, 3], np.int64)
    for name in ("some", "text"):
        with pytest.raises(DamagedArtifactError, match=rf"t\.parquet has a column '{name}' that is not all numbers"):
            artifacts.numbers(Path("t.parquet"), table, name)
