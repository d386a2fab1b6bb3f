from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.superposition import join_parts, split_parts
from lexivert.controller.calibration import blends, calibrate, mixed_cosines, right_units
from lexivert.controller.cascade import Cascade
from lexivert.controller.confidence import Calibration
from lexivert.data.encoded_texts import EncodedTexts


def test_units_are_right_where_the_text_has_them():
    assert right_units([1, 2, 3], [1, 3, 3, 3]) == [True, False, True, False]
    assert right_units([1, 2], []) == []


def test_noise_levels_take_turns():
    cosines = mixed_cosines(16).tolist()
    assert len(cosines) == 16
    assert cosines[0] == 1.0
    assert len(set(cosines)) == 7
    assert cosines[7:14] == cosines[:7]


def test_a_blend_lies_between_two_vectors_and_nearer_to_the_first():
    vectors = torch.eye(5)
    found = blends(vectors, torch.Generator().manual_seed(0))
    assert found.shape == (4, 5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    for row, blend in enumerate(found):
        first, second = blend[row].item(), blend[row + 1].item()
        assert first >= second > 0.3 * first
        assert blend.count_nonzero() == 2


@pytest.fixture(scope="module")
def calibrated(make_world):
    world = make_world(300, 256, positions=24)
    units = world.drawn(140, 9, seed=5)
    semantic = F.normalize(torch.randn(140, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    texts = EncodedTexts([], units, semantic.half().float())
    decoder = Cascade(world.proposer)
    return world, decoder, *calibrate(decoder, texts, 140, seed=0)


def test_it_says_what_it_saw(calibrated):
    *_, calibration, report = calibrated
    assert report["texts"] == 140
    assert report["blends"] == 20
    assert report["proven"] == pytest.approx(1 / 7, abs=0.01)
    assert 0.2 < report["exact_match"] < 0.95
    assert calibration != Calibration.none()


def test_blends_of_other_texts_are_doubted_and_noisy_ones_believed(calibrated):
    world, decoder, calibration, _ = calibrated
    texts = world.drawn(40, 9, seed=77)
    semantic = F.normalize(torch.randn(40, 8, generator=torch.Generator().manual_seed(1)), dim=1)
    vectors = join_parts(semantic, world.vectors(texts), 0.5)
    generator = torch.Generator().manual_seed(2)
    checked = Cascade(decoder.proposer, calibration)
    confidence = []
    for given in (
        blends(vectors, generator),
        F.normalize(vectors + 0.02 * torch.randn(vectors.shape, generator=generator), dim=1),
    ):
        prefix, order = split_parts(given, 8)
        confidence.append(checked.decode_all(order, prefix, 32, "").confidence)
    assert confidence[0].mean() < 0.3
    assert confidence[1].mean() > 0.8


def test_nothing_to_calibrate_on_leaves_scores_as_they_are(make_world, caplog):
    """One text without noise comes back."""
    world = make_world(300, 256, positions=24)
    units = world.drawn(21, 1, seed=5)
    texts = EncodedTexts([], units, torch.ones(21, 8))
    calibration, report = calibrate(Cascade(world.proposer), texts, 1, seed=0)
    assert calibration == Calibration.none()
    assert report == {"texts": 1, "blends": 0, "exact_match": 1.0, "proven": 1.0}
    assert "came out alike" in caplog.text
