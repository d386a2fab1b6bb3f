from __future__ import annotations

import math

import pytest
import torch

from lexivert.priors.base import Belief, Prior
from lexivert.priors.unigram import flat, unigram
from lexivert.text.lexicon import NEVER

LOG_PRIOR = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4]))


def belief(batch=2, n=3):
    units = torch.full((batch, n), -1)
    units[0, 1] = 2
    prefix = torch.randn(batch, 5, generator=torch.Generator().manual_seed(0))
    return Belief.certain(units, torch.full((batch,), n), prefix, torch.ones(batch))


def logits(prior, known):
    return prior.output.logits(prior.queries(known))


def test_it_is_the_same_everywhere_and_never_eos():
    prior = unigram(LOG_PRIOR)
    assert isinstance(prior, Prior)
    expected = torch.cat((torch.tensor([NEVER]), LOG_PRIOR[1:]))
    assert torch.equal(logits(prior, belief()), expected.expand(2, 3, 4))
    assert torch.equal(prior.log_length(belief(), 7), torch.zeros(2, 7))
    assert LOG_PRIOR[0] > NEVER  # what was given is left as it was


def test_the_flat_one_knows_no_unit_to_be_likelier():
    expected = torch.tensor([NEVER, *[math.log(0.25)] * 3])
    torch.testing.assert_close(logits(flat(LOG_PRIOR), belief()), expected.expand(2, 3, 4))


@pytest.mark.parametrize("make", [unigram, flat])
def test_ruled_out_units_and_no_others(make):
    prior = make(LOG_PRIOR)
    without = prior.without([1, 3])
    assert without.output.bias[[0, 1, 3]].tolist() == [NEVER] * 3
    assert without.output.bias[2] == prior.output.bias[2]
    assert prior.output.bias[1] > NEVER  # a copy


def test_moved_to_a_device_its_answers_are_there():
    prior = unigram(LOG_PRIOR).to("meta")
    known = Belief.empty(3, torch.tensor([3, 2]), torch.ones(2, 5))
    moved = Belief(
        *(part.to("meta") for part in (known.units, known.marginals, known.length, known.prefix, known.cosine))
    )
    assert logits(prior, moved).device.type == "meta"
    assert prior.log_length(moved, 7).device.type == "meta"
