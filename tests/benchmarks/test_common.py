"""What benchmarks share."""

from __future__ import annotations

import pytest

from lexivert.errors import LexivertError


@pytest.fixture(scope="module")
def common(load):
    return load("common")


def test_the_peak_is_this_processes_own(common):
    before = common.peak_bytes()
    block = bytearray(200 * 2**20)
    block[::4096] = b"x" * len(block[::4096])
    assert common.peak_bytes() >= max(before, 200 * 2**20)


def test_an_error_is_one_line(common, capsys):
    def fail():
        raise LexivertError("models/index is missing; run `dvc repro index`")

    with pytest.raises(SystemExit) as end:
        common.run_command(fail)
    assert end.value.code == 1
    assert capsys.readouterr().err == "error: models/index is missing; run `dvc repro index`\n"


def test_a_defect_keeps_its_traceback(common):
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        common.run_command(fail)


def test_a_file_that_is_not_there_is_said(common, tmp_path, capsys):
    (tmp_path / "there.txt").write_text("a")
    assert common.given_file(str(tmp_path / "there.txt")) == tmp_path / "there.txt"
    assert common.given_file("") is None
    assert capsys.readouterr().err == ""
    assert common.given_file("gone.txt") is None
    assert capsys.readouterr().err == "there is no file gone.txt; its figures are left out\n"
