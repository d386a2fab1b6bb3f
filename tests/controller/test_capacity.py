from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lexivert.controller.capacity import LOAD, Capacity
from lexivert.controller.cascade import Cascade
from lexivert.priors.unigram import unigram


@pytest.fixture
def capacity(world):
    return Capacity(world.codebook, unigram(world.codebook.log_prior))


def test_surprise_is_the_sum_of_the_units_under_the_prior(world, capacity):
    """EOS is ruled out, so that the others are a little likelier."""
    log_prior = world.codebook.log_prior.clone()
    log_prior[0] = -torch.inf
    log_prior -= log_prior.logsumexp(dim=0)
    units = [5, 700, 5, 1999]
    assert capacity.surprise(units, torch.zeros(8)) == pytest.approx(float(-log_prior[units].sum()), rel=1e-4)
    assert capacity.surprise([], torch.zeros(8)) == 0.0


def test_a_text_of_rare_units_is_beyond_it_sooner(world, capacity):
    """512 dimensions give 256 nats, times the load that is known to be read."""
    assert capacity.nats == pytest.approx(256 * LOAD)
    assert capacity.bits == pytest.approx(capacity.nats / math.log(2))
    frequent, rare = capacity.surprise([1], torch.zeros(8)), capacity.surprise([1999], torch.zeros(8))
    texts = [[1] * int(capacity.nats / frequent), [1999] * int(capacity.nats / rare)]
    assert len(texts[0]) > len(texts[1])
    assert capacity.exceeded(texts, torch.zeros(2, 8)) == []
    assert capacity.exceeded([[*text, 1999] for text in texts], torch.zeros(2, 8)) == [0, 1]
    assert capacity.exceeded([], torch.zeros(0, 8)) == []


def test_what_it_admits_without_noise_is_read_and_what_is_far_beyond_is_not(make_world):
    world = make_world(300, 96, positions=40, surprisal_share=0.5)
    parts = replace(world.parts, prior=unigram(world.codebook.log_prior))
    own, read = Capacity(parts.codebook, parts.prior), []
    for length in (7, 36):
        texts = world.drawn(12, length, seed=3)
        found = Cascade(parts).decode(world.observed(world.vectors(texts)))
        exceeded = own.exceeded(texts, torch.zeros(12, 8))
        read.append((len(exceeded), sum(a == b for a, b in zip(found.units, texts, strict=True))))
    assert read[0][0] == 0
    assert read[0][1] >= 11
    assert read[1] == (12, 0)
