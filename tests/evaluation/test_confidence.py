from __future__ import annotations

import numpy as np
import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller.calibration import mixed_cosines
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation.confidence import confidence_report

TEXTS = ["The silent owl watched the mill.", "Emma asked a noble captain.", "Rose", "It was a rose."]


@pytest.fixture
def heldout(tiny_model) -> EncodedTexts:
    return EncodedTexts(TEXTS, tiny_model.encoder.segment(TEXTS), torch.zeros(4, 32))


def test_two_readings_a_text_against_a_loop(tiny_model, heldout):
    vectors = torch.from_numpy(tiny_model.encode(TEXTS))
    report, bins = confidence_report(tiny_model, heldout, vectors, seed=5)
    rows = [row for row in np.random.default_rng(5).permutation(4) for _ in range(2)]
    noisy = add_noise(vectors[rows], mixed_cosines(8), torch.Generator().manual_seed(6))
    readings = tiny_model.read(noisy.numpy())
    right = np.array([reading.text == TEXTS[row] for row, reading in zip(rows, readings, strict=True)])
    confidence = np.array([reading.confidence for reading in readings])
    assert (report["texts"], report["readings"]) == (4, 8)
    assert report["exact_match"] == pytest.approx(right.mean())
    error = sum(
        abs(confidence[inside].mean() - right[inside].mean()) * inside.sum() / 8
        for lowest in np.arange(10) / 10
        if (inside := (confidence >= lowest) & (confidence < lowest + 0.1 + (lowest == 0.9))).any()
    )
    assert report["expected_calibration_error"] == pytest.approx(error, abs=1e-4)
    assert list(bins.columns) == ["confidence", "observed", "perfect", "readings"]
    assert bins["perfect"].tolist() == bins["confidence"].tolist()
    assert bins["readings"].sum() == 8


def test_vectors_that_no_text_made_are_told_from_texts(tiny_model, heldout):
    vectors = torch.from_numpy(tiny_model.encode(TEXTS))
    report, _ = confidence_report(tiny_model, heldout, vectors, seed=5)
    clean = np.mean([reading.confidence for reading in tiny_model.read(vectors.numpy())])
    for kind in ("blends_of_two", "blends_of_three", "random_vectors"):
        assert report[f"mean_confidence_of_{kind}"] < clean
