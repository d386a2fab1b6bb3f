from __future__ import annotations

import pytest
import torch

from lexivert.controller.base import DecodingAlgorithm
from lexivert.controller.registry import DECODERS


def test_every_algorithm_is_here_by_its_name_in_params_and_metrics():
    assert list(DECODERS) == [
        "one_shot",
        "cancellation",
        "amp_flat",
        "amp_unigram",
        "amp_selector",
        "easy_first",
        "cascade_unigram",
        "cascade",
    ]
    assert len({entry.label for entry in DECODERS.values()}) == len(DECODERS)


@pytest.mark.parametrize("name", DECODERS)
def test_every_algorithm_reads_short_texts_and_says_that_they_are_verified(world, name):
    decoder = DECODERS.make(name)(world.parts)
    assert isinstance(decoder, DecodingAlgorithm)
    texts = world.texts([0, 1, 4])
    found = decoder.decode(world.observed(world.vectors(texts)), trace=True)
    assert found.units == texts
    assert found.verified.all()
    assert [len(scores) for scores in found.scores] == [0, 1, 4]
    assert len(found.steps) == 3


@pytest.mark.parametrize("name", DECODERS)
def test_texts_of_no_batch_are_none(world, name):
    found = DECODERS.make(name)(world.parts).decode(world.observed(torch.empty(0, 512)))
    assert len(found) == 0
    assert found.fit.shape == found.verified.shape == (0,)


def test_each_has_the_prior_that_its_name_says(world):
    """Units' biases as message passing sees them."""
    log_prior, selector = world.codebook.log_prior[1:], world.prior.output.bias[1:]
    expected = {
        "amp_flat": torch.full_like(log_prior, -torch.tensor(2000.0).log().item()),
        "amp_unigram": log_prior,
        "amp_selector": selector,
        "cascade_unigram": log_prior,
        "cascade": selector,
    }
    widths = {"amp_flat": 0, "amp_unigram": 0, "amp_selector": 6, "cascade_unigram": 0, "cascade": 6}
    for name, bias in expected.items():
        decoder = DECODERS.make(name)(world.parts)
        output = getattr(decoder, "amp", decoder).prior.output
        torch.testing.assert_close(output.bias[1:], bias)
        assert output.weight.shape[1] == widths[name]
