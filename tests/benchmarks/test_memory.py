"""The benchmark of memory: shares of sizes, and the verdict."""

from __future__ import annotations

import math

import pytest


@pytest.fixture(scope="module")
def bench(load):
    return load("memory")


def test_reading_is_what_it_takes_beyond_the_rest(bench, tmp_path):
    """An index of 1,000 bytes, 400 of them codes; 1,400 bytes more with reading than without."""
    (tmp_path / "units.faiss").write_bytes(b"x" * 600)
    (tmp_path / "unit_codes.npy").write_bytes(b"x" * 400)
    figures = bench.figures_of(tmp_path, reading=1900.0, rest=500.0)
    assert figures == {
        "index_megabytes": 0.001,
        "peak_megabytes": 0.0019,
        "peak_without_reading_megabytes": 0.0005,
        "reading_to_index": 1.4,
        "reading_to_codes": 3.5,
    }


@pytest.mark.parametrize(("share", "missed"), [(1.5, False), (1.6, True), (math.nan, True)])
def test_the_bar_can_be_missed(bench, share, missed):
    assert bench.missed({"reading_to_index": share}) is missed
