"""The counting benchmark, run on little text: both ways of counting agree, and the figures decide."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def bench(load):
    return load("counting")


def test_both_ways_of_counting_agree_and_figures_decide(bench, tmp_path, monkeypatch):
    """So little text takes the library longer than its bar allows, or just not; either way the figures say so."""
    monkeypatch.setattr(bench, "DRAWN_AT_ONCE", 1 << 12)
    out = tmp_path / "counting.json"
    try:
        bench.main(tokens=20_000, sample=20_000, types=500, min_count=5, out=out)
        missed = False
    except SystemExit as end:
        missed = str(end).startswith("missed")
    figures = json.loads(out.read_text())
    assert figures["same_counts"] is True
    assert figures["phrases"] > 0
    assert 2 <= figures["longest_phrase"] <= 7
    assert figures["speedup"] == pytest.approx(
        figures["sample_plain_seconds"] / figures["sample_seconds"], rel=1e-4
    )  # six digits are written
    assert missed == (figures["speedup"] < bench.BAR_SPEEDUP or figures["peak_gb"] > bench.BAR_GB)


@pytest.mark.parametrize(
    "changed", [{"speedup": 19.0}, {"speedup": float("nan")}, {"same_counts": False}, {"peak_gb": 6.5}]
)
def test_each_bar_can_be_missed(bench, changed):
    good = {"speedup": 21.0, "same_counts": True, "peak_gb": 1.0}
    bench.judge(good)
    with pytest.raises(SystemExit, match="missed"):
        bench.judge(good | changed)
