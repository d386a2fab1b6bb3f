from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.special import expit

from lexivert.codes.corruption import ARITHMETIC
from lexivert.codes.superposition import join_parts, split_parts
from lexivert.controller.calibration import calibrate, fit_logistic, mixed_cosines, right_units
from lexivert.controller.confidence import Calibration
from lexivert.controller.controller import Controller
from lexivert.controller.observation import Observation
from lexivert.data.encoded_texts import EncodedTexts


def test_units_are_right_where_the_text_has_them():
    assert right_units([1, 2, 3], [1, 3, 3, 3]) == [True, False, True, False]
    assert right_units([1, 2], []) == []


def test_noise_levels_take_turns(world):
    cosines = mixed_cosines(5, (1.0, 0.75), world.codebook, 8).tolist()
    assert cosines[0] == cosines[2] == cosines[4] == 1.0
    assert cosines[1] == cosines[3] < 1.0


@pytest.fixture(scope="module")
def calibrated(make_world):
    world = make_world(300, 256, positions=24)
    units = world.drawn(140, 9, seed=5)
    prefixes = F.normalize(torch.randn(140, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    texts = EncodedTexts([], units, prefixes.half().float())
    return world, *calibrate(Controller(world.parts), texts, 140, seed=0)


def test_it_says_what_it_saw(calibrated):
    _, calibration, metrics = calibrated
    assert metrics["texts"] == 140
    assert metrics["combinations"] == 20
    assert metrics["verified"] == 0.0
    assert 0.2 < metrics["exact_match"] < 0.95
    assert calibration != Calibration.none()


@pytest.mark.parametrize("combine", ARITHMETIC.values(), ids=ARITHMETIC)
def test_what_no_text_made_is_doubted_and_noisy_texts_believed(calibrated, combine):
    world, calibration, _ = calibrated
    texts = world.drawn(40, 9, seed=77)
    prefixes = F.normalize(torch.randn(40, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    vectors = join_parts(prefixes, world.vectors(texts), 0.5)
    generator = torch.Generator().manual_seed(2)
    controller = Controller(world.parts, calibration)
    confidence = []
    for given in (
        combine(vectors, generator),
        F.normalize(vectors + 0.02 * torch.randn(vectors.shape, generator=generator), dim=1),
    ):
        prefix, order = split_parts(given, 8)
        confidence.append(controller.decode_all(Observation.of(order, prefix), 32, "").confidence)
    assert confidence[0].mean() < 0.3
    assert confidence[1].mean() > 0.8


def test_rare_lengths_are_drawn_more_often(make_world):
    """Of 360 texts of 2 units and 40 of 7, a third as many are drawn of the latter: 40^.5 to 360^.5."""
    world = make_world(300, 256, positions=24)
    texts = EncodedTexts([], world.drawn(360, 2, seed=1) + world.drawn(40, 7, seed=2), torch.zeros(400, 8))
    lengths = []

    class Reader(Controller):
        def decode(self, observed, *, trace=False):
            found = super().decode(observed, trace=trace)
            lengths.extend(len(units) for units in found.units)
            return found

    calibrate(Reader(world.parts), texts, 80, seed=0)
    long = sum(length > 4 for length in lengths[:80])
    assert 12 <= long <= 30  # expected: 80 · (40 / 40^.5) / (40 / 40^.5 + 360 / 360^.5) = 20, and 8 if drawn evenly


def test_nothing_to_calibrate_on_leaves_scores_as_they_are(make_world, caplog):
    """One text comes back."""
    world = make_world(300, 256, positions=24)
    texts = EncodedTexts([], world.drawn(21, 1, seed=5), torch.ones(21, 8))
    calibration, metrics = calibrate(Controller(world.parts), texts, 1, seed=0)
    assert calibration == Calibration.none()
    assert metrics == {"texts": 1, "combinations": 0, "exact_match": 1.0, "verified": 0.0}
    assert "came out alike" in caplog.text


def test_logistic_regression_finds_the_weights_that_made_the_data():
    """Features of very unlike scales, 20 000 draws."""
    rng = np.random.default_rng(0)
    features = rng.standard_normal((20000, 3)) * [1.0, 50.0, 0.02]
    truth = np.array([1.5, -0.02, 20.0, 0.7])
    right = rng.random(20000) < expit(features @ truth[:3] + truth[3])
    assert fit_logistic(features, right) == pytest.approx(truth, rel=0.15)


def test_a_column_that_is_the_same_for_all_does_no_harm():
    rng = np.random.default_rng(1)
    features = np.stack((rng.standard_normal(5000), np.full(5000, 3.0)), axis=1)
    right = rng.random(5000) < expit(2.0 * features[:, 0])
    weights = fit_logistic(features, right)
    assert weights[0] == pytest.approx(2.0, rel=0.15)
    assert 3.0 * weights[1] + weights[2] == pytest.approx(0.0, abs=0.2)


@pytest.mark.parametrize("right", [[True] * 4, [False] * 4, []])
def test_nothing_to_calibrate_on_gives_one_line(right):
    with pytest.raises(ValueError, match="all came out alike") as caught:
        fit_logistic(np.ones((len(right), 2)), np.array(right, dtype=bool))
    assert "\n" not in str(caught.value)
