from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import expit, logit

from lexivert.controller.confidence import FEATURES, Calibration, text_features, unit_features


def test_features_of_a_text_by_hand():
    """Units of .9 and .5: .45 together, .6 errors expected; cosine .8 leaves 9/16 of the energy, more than noise."""
    (row,) = text_features([[0.9, 0.5]], torch.tensor([0.8]), torch.tensor([5.0]), torch.tensor([0.0]), 2000)
    expected = [math.log(0.45 / 0.55), 0.0, math.log(0.601), math.log(9 / 16 * 2), math.log(3), 2.0, 1.0]
    assert row.tolist() == pytest.approx(expected, abs=1e-6)
    assert text_features([], *[torch.empty(0)] * 3, 2000).shape == (0, FEATURES)
    noise = torch.tensor([torch.nan, 1.0])  # not told, and explained
    rows = text_features([[], [0.0, 1.0]], torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 99.0]), noise, 2000)
    assert np.isfinite(rows).all()
    assert rows[:, 5].tolist() == [0.0, 7.0]
    assert rows[:, 6].tolist() == [0.0, 0.0]


def test_features_of_units_by_hand():
    odds = [math.log(9), 0.0, -math.log(4)]
    expected = [[own, sum(odds) / 3] for own in odds]
    np.testing.assert_allclose(unit_features([0.9, 0.5, 0.2]), expected, atol=1e-9)


def test_log_odds_and_probabilities_are_scipys_to_the_bit():
    rng = np.random.default_rng(0)
    scores = np.concatenate((rng.random(2000), 1.0 - 10.0 ** (-6 * rng.random(500)), 10.0 ** (-6 * rng.random(500))))
    scores = np.clip(scores, 1e-6, 1.0 - 1e-6)
    odds = logit(scores)
    assert (unit_features(scores.tolist())[:, 0] == odds).all()
    _, units = Calibration((0.0,) * FEATURES + (0.0,), (3.0, 0.0, 0.5))(
        np.zeros((1, FEATURES)), [scores.tolist()], torch.tensor([False])
    )
    columns = np.stack((odds, np.full(len(odds), odds.mean()), np.ones(len(odds))), axis=1)
    assert units[0] == expit(columns @ np.array([3.0, 0.0, 0.5])).tolist()


def test_without_calibration_a_text_is_right_if_all_its_units_are():
    scores = [[0.9, 0.5], [0.7], []]
    features = text_features(scores, torch.tensor([0.5, 0.9, 0.3]), torch.zeros(3), torch.ones(3), 500)
    confidence, units = Calibration.none()(features, scores, torch.zeros(3, dtype=torch.bool))
    assert confidence[:2].tolist() == pytest.approx([0.45, 0.7], rel=1e-5)
    assert units[0] == pytest.approx([0.9, 0.5])
    assert units[1:] == [pytest.approx([0.7]), []]


def test_verified_texts_are_certain_and_others_are_weighed():
    calibration = Calibration((0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, -2.0), (0.5, 0.25, 1.0))
    scores = [[0.9, 0.2], [0.6, 0.5]]
    features = text_features(scores, torch.tensor([1.0, 0.7]), torch.zeros(2), torch.ones(2), 500)
    confidence, units = calibration(features, scores, torch.tensor([True, False]))
    assert confidence[0].item() == pytest.approx(1.0, abs=2e-6)
    assert units[0] == pytest.approx([1.0, 1.0], abs=2e-6)
    assert confidence[1].item() == pytest.approx(expit(math.log(3) - 2), rel=1e-5)
    mean = logit(0.6) / 2
    assert units[1] == pytest.approx([expit(0.5 * logit(0.6) + 0.25 * mean + 1), expit(0.25 * mean + 1)], rel=1e-6)


def test_what_is_written_is_read_again():
    calibration = Calibration((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), (1.0, 2.0, 3.0))
    content = calibration.to_dict()
    assert Calibration.from_dict(content) == calibration
    with pytest.raises(ValueError, match="calibration of 7 and 3 weights, not 8 and 3"):
        Calibration.from_dict(content | {"text": content["text"][1:]})
