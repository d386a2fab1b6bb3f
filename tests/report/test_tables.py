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
    (paths.plots / "token_head.csv").write_text("epoch,loss,unit\n1,0.5,12\n2,,NA\n", encoding="utf-8")
    return paths


def test_columns_are_numbers_under_their_labels_and_gaps_are_nan(paths):
    table = tables.read_table(paths, "token_head", "unit")
    found = tables.columns(table, {"epoch": "Epoch", "loss": "Loss", "absent": "Absent"})
    assert list(found) == ["Epoch", "Loss"]
    assert found["Epoch"] == [1.0, 2.0]
    assert found["Loss"][0] == 0.5
    assert math.isnan(found["Loss"][1])
    assert table["unit"].tolist() == ["12", "NA"]


def test_figures_of_sections_side_by_side():
    rows = {"one": {"a": 1, "b": 2, "c": 3}, "two": {"a": 4}}
    frame = tables.layout(rows, {"b": "B", "a": "A"}, "name", default=0.0)
    assert frame.index.name == "name"
    assert frame.to_dict("index") == {"one": {"B": 2.0, "A": 1.0}, "two": {"B": 0.0, "A": 4.0}}
    with pytest.raises(KeyError):
        tables.layout(rows, {"b": "B"}, "name")
    assert list(tables.layout({}, {"b": "B"}, "name").columns) == ["B"]


def test_a_missing_table_is_named_with_its_stage(paths):
    with pytest.raises(
        MissingArtifactError, match=r"pair_cosines\.csv is missing; run `dvc repro token_space` first"
    ):
        tables.read_table(paths, "pair_cosines")


def test_missing_metrics_are_named_with_their_stage(paths):
    with pytest.raises(MissingArtifactError, match=r"evaluate\.json is missing; run `dvc repro evaluate` first"):
        tables.read_metrics(paths, "evaluate")


def test_an_empty_table_is_damaged(paths):
    (paths.plots / "robustness.csv").write_text("", encoding="utf-8")
    with pytest.raises(DamagedArtifactError, match=r"robustness\.csv is no readable table"):
        tables.read_table(paths, "robustness")
