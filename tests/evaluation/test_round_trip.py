"""The evaluation stage on a tiny trained model."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from lexivert.evaluation.tables import write_table

from lexivert.artifacts import Paths
from lexivert.config import Params
from lexivert.errors import LexivertError
from lexivert.evaluation.round_trip import run_evaluation
from lexivert.evaluation.texts import choose_texts


def test_texts_are_distinct_bounded_and_the_same_every_time():
    texts = [f"word {'more ' * (n % 45)}{n}" for n in range(400)] * 2
    chosen = choose_texts(texts, 7, seed=1)
    assert chosen == choose_texts(list(reversed(texts)), 7, seed=1)
    assert chosen != choose_texts(texts, 7, seed=2)
    assert len(chosen) == len(set(chosen)) == 21
    words = [len(text.split()) for text in chosen]
    assert sum(n <= 10 for n in words) == sum(11 <= n <= 20 for n in words) == sum(21 <= n <= 40 for n in words) == 7


@pytest.fixture
def project(tiny_project, tmp_path):
    shutil.copytree(tiny_project, tmp_path / "project")
    return Paths(tmp_path / "project")


def test_the_report_holds_every_decoder_and_condition(project: Paths, tiny_params: Params):
    run_evaluation(project, tiny_params)
    report = json.loads(project.metrics("evaluate").read_text(encoding="utf-8"))
    assert report["texts"] > 0
    assert report["semantic_prefix_cosine"] == pytest.approx(1.0, abs=1e-4)
    for condition in ("clean", "noisy"):
        assert set(report[condition]) == {"nearest", "one_shot", "cancellation", "physics", "controller"}
        for row in report[condition].values():
            assert 0.0 <= row["exact_match_low"] <= row["exact_match"] <= row["exact_match_high"] <= 1.0
    clean = report["clean"]
    assert clean["controller"]["exact_match"] >= clean["one_shot"]["exact_match"]
    assert clean["controller"]["unit_accuracy"] > clean["nearest"]["unit_accuracy"]
    assert "smooth" in clean["controller"]["bleu_signature"]


def test_curves_agree_with_the_report(project: Paths, tiny_params: Params):
    run_evaluation(project, tiny_params)
    report = json.loads(project.metrics("evaluate").read_text(encoding="utf-8"))
    with (project.plots / "exact_match.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(int(row["texts"]) for row in rows) == report["texts"]
    right = sum(int(row["texts"]) * float(row["one_shot_clean"]) for row in rows)
    assert right / report["texts"] == pytest.approx(report["clean"]["one_shot"]["exact_match"], abs=1e-3)
    with (project.plots / "trace.csv").open(encoding="utf-8", newline="") as file:
        steps = list(csv.DictReader(file))
    assert [int(step["step"]) for step in steps] == list(range(1, len(steps) + 1))
    assert float(steps[-1]["residual"]) < float(steps[0]["residual"])
    with (project.plots / "reliability.csv").open(encoding="utf-8", newline="") as file:
        bins = list(csv.DictReader(file))
    sent = report["confidence"]
    assert sum(int(row["readings"]) for row in bins) == sent["readings"] == 3 * sent["texts"]
    right = sum(int(row["readings"]) * float(row["observed"]) for row in bins)
    assert right / sent["readings"] == pytest.approx(sent["exact_match"], abs=1e-3)
    apart = sum(int(row["readings"]) * abs(float(row["observed"]) - float(row["confidence"])) for row in bins)
    assert apart / sent["readings"] == pytest.approx(sent["expected_calibration_error"], abs=1e-3)


def test_a_missing_corpus_is_named(project: Paths, tiny_params: Params):
    project.corpus.unlink()
    with pytest.raises(LexivertError, match="corpus"):
        run_evaluation(project, tiny_params)


def test_tables_quote_units_and_nothing_else(tmp_path):
    rows = [[1, 12, unit, 1.0, 3e-9] for unit in ("a", '"', "1,2", "12", "")]
    write_table(tmp_path / "plots" / "table.csv", ["step", "position", "unit", "score", "residual"], rows)
    assert (tmp_path / "plots" / "table.csv").read_bytes().decode().splitlines(keepends=True) == [
        "step,position,unit,score,residual\n",
        '1,12,"a",1.0000,0.0000\n',
        '1,12,"""",1.0000,0.0000\n',
        '1,12,"1,2",1.0000,0.0000\n',
        '1,12,"12",1.0000,0.0000\n',
        '1,12,"",1.0000,0.0000\n',
    ]
