"""The benchmark of the search with a language model, on a few texts of the tiny model."""

from __future__ import annotations

import pytest
import torch

from lexivert.evaluation.texts import encode_texts

TEXTS = ["The old captain saw the river.", "Emma saw two lamps near the old mill.", "Alice bought a lamp."]


@pytest.fixture(scope="module")
def bench(load):
    return load("language_search")


@torch.inference_mode()
def measured(bench, tiny_model, condition):
    return bench.measure(tiny_model, condition, encode_texts(tiny_model.encoder, TEXTS), "normal")


def test_every_misread_text_is_a_search_error_or_a_model_error(bench, tiny_model):
    figures, result, pairs = measured(bench, tiny_model, bench.Condition(0.4, 0.4, 0, 0.5))
    assert figures["texts"] == len(pairs) == 3
    assert figures["searched"] == len(result.seconds) == len(result.right) == len(result.features) > 0
    wrong = sum(not right for _, right in pairs)
    assert figures["search_errors"] + figures["model_errors"] == result.right.count(False) == wrong
    assert figures["exact_match"] == pytest.approx(1.0 - wrong / 3)
    assert figures["exact_match_low"] <= figures["exact_match"] <= figures["exact_match_high"]


def test_clean_vectors_are_not_searched(bench, tiny_model):
    figures, result, pairs = measured(bench, tiny_model, bench.Condition(0.8, 1.0, 0, 0.5))
    assert (figures["searched"], figures["lost"], result.seconds) == (0, 0, [])
    assert all(right and confidence > 0.99 for confidence, right in pairs)


def test_missed_bars_are_named(bench):
    good = {"exact_match": 1.0, "lost": 0, "seconds_most": 1.0}
    names = [condition.name for condition in bench.CONDITIONS]
    report = dict.fromkeys(names, good) | {"confidence": {"calibration_error": 0.01, "auroc": 0.99}}
    assert bench.below_bars(report) == []
    bad = {"exact_match": 0.1, "lost": 1, "seconds_most": 11.0}
    report |= {names[1]: bad, "confidence": {"calibration_error": 0.2, "auroc": 0.5}}
    missed = [f"{names[1]} {key}" for key in ("exact_match", "lost", "seconds_most")]
    assert bench.below_bars(report) == [*missed, "calibration_error", "auroc"]


def test_the_confidence_is_fitted_to_what_was_right(bench):
    odds = [-1.0, 0.0, 1.0, 2.0, 3.0, 4.0] * 20
    right = [value > 1.5 for value in odds]
    found = bench.confidences(
        [(0.9, hit) for hit in right], [bench.Searched([], [(value, 0.0, 0.0) for value in odds], right)]
    )
    assert found["calibration_error"] == pytest.approx(0.4)
    assert found["fitted_log_odds"] > 1.0
    assert -found["fitted_constant"] / found["fitted_log_odds"] == pytest.approx(1.5, abs=0.2)


def test_an_interval_of_a_mean(bench):
    low, high = bench.bootstrap([0.0, 1.0] * 50)
    assert 0.35 < low < 0.45
    assert 0.55 < high < 0.65
