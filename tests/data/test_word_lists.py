"""Word lists: MessagePack by hand, damaged files, and the packaged lists themselves."""

from __future__ import annotations

import gzip

import pytest

from lexivert.artifacts import Paths
from lexivert.data.word_lists import read_word_lists, unpack
from lexivert.errors import DamagedArtifactError, MissingArtifactError

HEADER = b"\x82\xa6format\xa2cB\xa7version\x01"


@pytest.mark.parametrize(
    ("packed", "value"),
    [
        (b"\x07", 7),
        (b"\xa2ja", "ja"),
        (b"\xd9\x02\xd0\xb8", "и"),
        (b"\xda\x00\x02no", "no"),
        (b"\xdb\x00\x00\x00\x01a", "a"),
        (b"\x92\x90\x91\xa1x", [[], ["x"]]),
        (b"\xdc\x00\x01\xa1x", ["x"]),
        (b"\xdd\x00\x00\x00\x02\x01\x02", [1, 2]),
        (HEADER, {"format": "cB", "version": 1}),
    ],
)
def test_messagepack_by_hand(packed, value):
    assert unpack(packed) == value


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (b"", "the bytes end after 0"),
        (b"\xa5ab", "the bytes end after 3"),
        (b"\x01\x02", "1 bytes too many"),
        (b"\xc0", "type 0xC0 at byte 0 is not read"),
        (b"\xa1\xff", "can't decode byte 0xff"),
    ],
)
def test_other_bytes_are_refused(packed, message):
    with pytest.raises(ValueError, match=message):
        unpack(packed)


def write(tmp_path, content: bytes) -> Paths:
    paths = Paths(tmp_path)
    paths.word_lists.mkdir(parents=True)
    (paths.word_lists / "small_el.msgpack.gz").write_bytes(content)
    return paths


def test_places_are_centibels_and_final_sigma_is_written(tmp_path):
    paths = write(tmp_path, gzip.compress(b"\x94" + HEADER + b"\x90\x91\xa6\xcf\x84\xce\xb7\xcf\x83\x91\xa1x"))
    assert read_word_lists(paths, ["el"]) == {"el": {"της": pytest.approx(10**-0.01), "x": pytest.approx(10**-0.02)}}


@pytest.mark.parametrize(
    "content",
    [b"nonsense", gzip.compress(b"\x91\x01"), gzip.compress(b"\x07"), gzip.compress(b"")],
    ids=["no_archive", "cut", "no_list", "empty"],  # an archive's own bytes hold the time
)
def test_damaged_lists_are_one_line(tmp_path, content):
    with pytest.raises(DamagedArtifactError, match=r"small_el\.msgpack\.gz .*run `dvc repro -f fetch`$") as caught:
        read_word_lists(write(tmp_path, content), ["el"])
    assert "\n" not in str(caught.value)


def test_a_missing_list_says_which_stage_makes_it(tmp_path):
    with pytest.raises(MissingArtifactError, match="dvc repro fetch"):
        read_word_lists(Paths(tmp_path), ["de"])


def test_the_packaged_lists(word_lists):
    assert next(iter(word_lists["en"])) == "the"
    assert next(iter(word_lists["ru"])) == "в"
    assert "των" in word_lists["el"]
    assert "της" in word_lists["el"]
    for frequencies in word_lists.values():
        assert len(frequencies) > 20_000
        assert sorted(frequencies.values(), reverse=True) == list(frequencies.values())
        assert 0.8 < sum(frequencies.values()) < 1.0
