"""Reading metrics and curves for the page."""

from __future__ import annotations

import math

import pytest

from lexivert.artifacts import Paths
from lexivert.errors import DamagedArtifactError, MissingArtifactError
from lexivert.report import tables


@pytest.fixture
def paths(tmp_path) -> Paths:
    paths = Paths(tmp_path)
    paths.plots.mkdir(parents=True)
    (paths.plots / "token_head.csv").write_text("epoch,loss,unit\n1,0.5,a\n2,,b\n", encoding="utf-8")
    return paths


def test_columns_are_numbers_and_gaps_are_nan(paths):
    lines = tables.read_lines(paths, "token_head")
    found = tables.columns(lines, ["epoch", "loss", "absent"], ["Epoch", "Loss", "Absent"])
    assert list(found) == ["Epoch", "Loss"]
    assert found["Epoch"] == [1.0, 2.0]
    assert found["Loss"][0] == 0.5
    assert math.isnan(found["Loss"][1])


def test_a_missing_table_is_named_with_its_stage(paths):
    with pytest.raises(
        MissingArtifactError, match=r"pair_cosines\.csv is missing; run `dvc repro token_space` first"
    ):
        tables.read_lines(paths, "pair_cosines")


def test_missing_metrics_are_named_with_their_stage(paths):
    with pytest.raises(MissingArtifactError, match=r"evaluate\.json is missing; run `dvc repro evaluate` first"):
        tables.read_metrics(paths, "evaluate")


def test_an_empty_table_is_damaged(paths):
    (paths.plots / "robustness.csv").write_text("", encoding="utf-8")
    with pytest.raises(DamagedArtifactError, match=r"robustness\.csv has no header"):
        tables.read_lines(paths, "robustness")
