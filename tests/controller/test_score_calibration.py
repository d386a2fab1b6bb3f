from __future__ import annotations

import math

import pytest
import torch

from lexivert.controller.proposal import score
from lexivert.controller.selector import Intention


def intentions(world, variance, rows=200, seed=0):
    """Physics: a code in noise of the given variance, over that variance."""
    generator = torch.Generator().manual_seed(seed)
    width = world.language.codes.shape[1]
    truth = torch.multinomial(world.language.log_prior.exp(), rows, replacement=True, generator=generator)
    evidence = world.language.codes[truth].float() + math.sqrt(variance) * torch.randn(
        rows, width, generator=generator
    )
    raw = evidence / variance
    return truth, Intention(raw, torch.nn.functional.normalize(raw, dim=1), torch.ones(()))


def test_probabilities_mean_what_they_say(make_world):
    """Of pairs with probability p, about the share p is right: physics and prior are the truth here."""
    world = make_world(1000, 256)
    truth, intention = intentions(world, 0.045, rows=1500)
    everywhere = torch.zeros(1500, dtype=torch.bool)
    products, units = world.proposer.retrieve(intention, everywhere, torch.full((1500,), 0.045))
    log_posterior, _ = score(intention, units, products, world.proposer.prior, everywhere)
    probability, choice = log_posterior.exp().max(dim=1)
    right = (units.gather(1, choice[:, None])[:, 0] == truth).float()
    assert 0.2 < right.mean() < 0.95
    for low, high in ((0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        chosen = (probability >= low) & (probability < high)
        assert chosen.sum() > 50
        assert right[chosen].mean().item() == pytest.approx(probability[chosen].mean().item(), abs=0.15)
