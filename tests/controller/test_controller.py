from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import superpose
from lexivert.controller.amp import AmpDecoder
from lexivert.controller.cascade import Cascade
from lexivert.controller.confidence import FEATURES, Calibration, text_features
from lexivert.controller.controller import Controller
from lexivert.controller.energy_split import EnergySplit
from lexivert.controller.verification import second_eos_score
from lexivert.errors import LexivertError
from lexivert.priors.unigram import unigram
from lexivert.text.lexicon import EOS
from sections import section


def test_verified_texts_are_certain_without_a_calibration(world):
    texts = world.texts(list(range(0, 41, 4)))
    found = Controller(world.parts).decode(world.observed(world.vectors(texts)))
    assert found.units == texts
    assert found.confidence.min() > 0.9999
    assert all(score > 0.9999 for scores in found.scores for score in scores)


def test_confidence_is_calibrated_and_verified_texts_are_certain(world):
    texts = world.texts([4, 12, 20])
    order = world.vectors(texts)
    order[1:] = add_noise(order[1:], torch.tensor([0.9, 0.7]), torch.Generator().manual_seed(0))
    calibration = Calibration((0.0,) * FEATURES + (-1.0,), (0.0, 0.0, 1.0))
    found = Controller(world.parts, calibration).decode(world.observed(order))
    assert found.verified.tolist() == [True, False, False]
    assert found.confidence.tolist() == pytest.approx([1.0, 0.2689, 0.2689], abs=1e-4)
    assert found.scores[1] == pytest.approx([0.7311] * len(found.units[1]), abs=1e-4)


def test_features_are_of_the_algorithms_own_scores(world):
    texts = world.texts([4, 12, 20])
    observed = world.observed(
        add_noise(world.vectors(texts), torch.full((3,), 0.7), torch.Generator().manual_seed(0))
    )
    controller = Controller(world.parts)
    found, raw = controller.decode(observed), controller.algorithm.decode(observed)
    total = superpose(raw.units, world.codebook.codes, world.codebook.binding)
    second = second_eos_score(observed.order, total, world.codebook.eos_codes)
    noise = EnergySplit.of(observed, world.codebook.semantic_share).explains(raw.fit)
    expected = text_features(raw.scores, raw.fit, second, noise, 512)
    np.testing.assert_allclose(found.features, expected, rtol=1e-4, atol=1e-4)
    assert found.units == raw.units


def test_a_text_does_not_depend_on_its_batch(world):
    texts = world.texts([7, 25, 1, 0, 33], seed=4)
    order = add_noise(world.vectors(texts), torch.full((5,), 0.9), torch.Generator().manual_seed(1))
    controller = Controller(world.parts)
    together = controller.decode(world.observed(order))
    for row in range(5):
        alone = controller.decode(world.observed(order[row : row + 1]))
        assert alone.confidence.item() == pytest.approx(together.confidence[row].item(), abs=1e-2)


def test_no_texts_at_all(world):
    controller = Controller(world.parts)
    found = controller.decode(world.observed(torch.empty(0, 512)))
    assert (found.units, found.scores, found.steps) == ([], [], [])
    assert found.confidence.shape == found.verified.shape == (0,)
    many = controller.decode_all(world.observed(torch.empty(0, 512)), 8, "nothing")
    assert (many.units, many.confidence.shape) == ([], (0,))


def test_batches_are_joined(world):
    texts = world.texts([3, 0, 7, 12, 5])
    controller, observed = Controller(world.parts), world.observed(world.vectors(texts))
    together = controller.decode(observed)
    parts = controller.decode_all(observed, 2, "parts")
    assert parts.units == together.units == texts
    assert parts.verified.tolist() == together.verified.tolist()
    assert parts.features.shape == together.features.shape
    torch.testing.assert_close(parts.confidence, together.confidence)


def test_a_trace_is_passed_on(world):
    found = Controller(world.parts).decode(world.observed(world.vectors([[5, 6]])), trace=True)
    assert next(step.unit for step in found.steps[0]) == EOS
    assert found.steps[0][-1].buffer == (5, 6)


def test_another_prior_changes_what_is_found(make_world):
    """A prior under which the text's own units are likely reads what the unigram prior does not."""
    world = make_world(300, 64, positions=24)
    text = world.texts([16], seed=3)[0]
    told = torch.full((300,), -12.0)
    told[text] = -2.0
    controller = Controller(world.parts)
    told_so = controller.with_parts(world.parts.with_prior(unigram(told)))
    found = [reader.decode(world.observed(world.vectors([text]))) for reader in (controller, told_so)]
    assert [result.units[0] == text for result in found] == [False, True]


def test_the_algorithm_is_the_one_that_the_params_name(world):
    assert isinstance(Controller(world.parts).algorithm, Cascade)
    params = section("controller", algorithm="amp_selector")
    assert isinstance(Controller(replace(world.parts, params=params)).algorithm, AmpDecoder)
    unknown = replace(world.parts, params=section("controller", algorithm="guess"))
    with pytest.raises(LexivertError, match=r"no decoding algorithm .guess., but .*cascade"):
        Controller(unknown)


def test_parts_on_another_device_have_nothing_left_behind_and_take_nothing_away(world):
    """Nothing can be computed on ``meta``, but whatever lay elsewhere would show."""

    def tensors(parts):
        prior = (parts.prior.output.weight, parts.prior.output.bias, *parts.prior.selector.parameters())
        return (parts.codebook.codes, parts.codebook.log_prior, parts.codebook.eos_codes, parts.index.codes, *prior)

    moved = world.parts.to("meta")
    assert {tensor.device.type for tensor in tensors(moved)} == {"meta"}
    assert {tensor.device.type for tensor in tensors(world.parts)} == {"cpu"}
    assert moved.codebook.codes is moved.index.codes
    same = Controller(world.parts).to("cpu").parts
    assert all(one is other for one, other in zip(tensors(same)[3:], tensors(world.parts)[3:], strict=True))
