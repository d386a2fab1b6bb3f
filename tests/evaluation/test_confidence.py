from __future__ import annotations

import numpy as np
import pytest
import torch

from lexivert.codes.corruption import ARITHMETIC, add_noise
from lexivert.controller.calibration import mixed_cosines
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation import confidence
from lexivert.evaluation.confidence import COPIES, LEVELS, confidence_report, copies_of

TEXTS = ["The silent owl watched the mill.", "Emma asked a noble captain.", "Rose", "It was a rose."]


@pytest.fixture
def heldout(tiny_model) -> EncodedTexts:
    return EncodedTexts(TEXTS, tiny_model.encoder.segment(TEXTS), torch.zeros(4, 32))


def test_figures_against_a_loop(tiny_model, heldout, monkeypatch):
    """Two of four texts are read three times, and weigh as much as the others."""
    monkeypatch.setattr(confidence, "copies_of", lambda lengths, width: [1, 3, 3, 1])
    vectors = torch.from_numpy(tiny_model.encode(TEXTS))
    report, bins = confidence_report(tiny_model, heldout, vectors, count=10, seed=5)
    order = np.random.default_rng(5).permutation(4)
    place = [0, 1, 1, 1, 2, 2, 2, 3]
    cosines = mixed_cosines(4, LEVELS, tiny_model.decoder.codebook, tiny_model.semantic_width)
    noisy = add_noise(vectors[order[place]], cosines[place], torch.Generator().manual_seed(6))
    readings = tiny_model.read(noisy.numpy())
    right = np.array([reading.text == TEXTS[order[row]] for row, reading in zip(place, readings, strict=True)])
    found, weight = np.array([reading.confidence for reading in readings]), np.array([1, *[1 / 3] * 6, 1])
    assert (report["texts"], report["readings"]) == (4, 8)
    assert report["exact_match"] == pytest.approx((right * weight).sum() / 4)
    error = sum(
        abs(((found - right) * weight)[inside].sum()) / 4
        for lowest in np.arange(10) / 10
        if (inside := (found >= lowest) & (found < lowest + 0.1 + (lowest == 0.9))).any()
    )
    assert report["expected_calibration_error"] == pytest.approx(error, abs=1e-4)
    assert report["expected_calibration_error_low"] <= error + 1e-4
    assert list(bins.columns) == ["confidence", "observed", "perfect", "readings"]
    assert bins["perfect"].tolist() == bins["confidence"].tolist()
    assert bins["readings"].sum() == pytest.approx(4.0)


def test_texts_are_read_again_where_it_is_open_how_that_ends():
    """Order cosine .75 is a signal of 9/7 of the noise: of 1600 dimensions 2057 squared deviations for all codes."""
    assert LEVELS[:2] == (1.0, 0.75)
    assert copies_of([5, 50, 5, 5], 1600) == [1, COPIES, 1, 1]  # 40 a code in 51; in 6, and in half the noise, sure
    assert copies_of([200, 250], 1600) == [1, 1]  # 8 a code in 251: hopeless


def test_vectors_that_no_text_made_are_told_from_texts(tiny_model, heldout):
    vectors = torch.from_numpy(tiny_model.encode(TEXTS))
    report, _ = confidence_report(tiny_model, heldout, vectors, count=10, seed=5)
    clean = np.mean([reading.confidence for reading in tiny_model.read(vectors.numpy())])
    for kind in (*ARITHMETIC, "random_vectors"):
        assert report[f"mean_confidence_of_{kind}"] < clean
