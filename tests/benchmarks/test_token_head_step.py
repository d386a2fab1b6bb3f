"""The token head's step, really run at a small width, and the verdict on two reports."""

from __future__ import annotations

import pytest

from lexivert.artifacts import Paths


@pytest.fixture
def bench(load, monkeypatch):
    module = load("token_head_step")
    for name, value in {"WIDTH": 16, "HIDDEN": 24, "CODE": 32, "REPEATS": 3}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_a_step_takes_time_on_both_clocks(bench, tiny_project):
    report = bench.run_ours(Paths(tiny_project), 16, 2)
    assert report.keys() == {"seconds", "processor_seconds"}
    assert min(report.values()) > 0


def test_the_median_of_steps_counts(bench):
    assert bench.seconds([(0.0, 0.0), (1.0, 0.5), (3.0, 1.5), (10.0, 2.0)]) == {
        "seconds": 2.0,
        "processor_seconds": 0.5,
    }


@pytest.mark.parametrize(
    ("seconds", "gib", "good"),
    [(101.0, 5.1, True), (99.0, 5.1, False), (101.0, 4.9, False), (float("nan"), 5.1, False)],
)
def test_a_missed_bar_ends_the_command(bench, seconds, gib, good):
    figures = bench.compared({"seconds": 1.0, "peak_gib": 1.0}, {"seconds": seconds, "peak_gib": gib})
    if good:
        bench.judge(figures)
        return
    with pytest.raises(SystemExit, match="missed"):
        bench.judge(figures)
