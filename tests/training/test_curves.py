from __future__ import annotations

from pathlib import Path

from lexivert.training.curves import by_epoch, write_curves

HISTORY = [{"loss": 1.0, "anchor": 0.5}, {"loss": 1 / 3, "anchor": 0.25, "late": 2.0}]


def test_keys_sort_in_order_of_epochs():
    keys = list(by_epoch([{"loss": float(epoch)} for epoch in range(12)]))
    assert keys == sorted(keys)
    assert by_epoch(HISTORY)["epoch_02"]["late"] == 2.0


def test_a_row_may_stand_for_many_steps(tmp_path: Path):
    write_curves(tmp_path / "stage.csv", [{"loss": 2.0}, {"loss": 1e-9}], "step", 10)
    assert (tmp_path / "stage.csv").read_text() == "step,loss\n10,2\n20,1e-09\n"


def test_table_has_a_row_an_epoch(tmp_path: Path):
    write_curves(tmp_path / "plots" / "stage.csv", HISTORY)
    assert (tmp_path / "plots" / "stage.csv").read_text() == ("epoch,anchor,late,loss\n1,0.5,,1\n2,0.25,2,0.333333\n")
