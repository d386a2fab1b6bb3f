from __future__ import annotations

import pytest
import torch

from lexivert.controller.posterior import score


def test_probabilities_mean_what_they_say(make_world):
    """Of pairs with probability p, about the share p is right: physics and prior are the truth here."""
    world = make_world(1000, 256)
    truth, slots = world.slots(0.045, 1500)
    everywhere = torch.zeros(1500, dtype=torch.bool)
    units, logits = world.proposer.retrieve(slots, everywhere, torch.full((1500,), -1))
    log_posterior = score(slots, units, logits, world.proposer.unigram, everywhere)
    probability, choice = log_posterior.exp().max(dim=1)
    right = (units.gather(1, choice[:, None])[:, 0] == truth).float()
    assert 0.2 < right.mean() < 0.95
    for low, high in ((0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        chosen = (probability >= low) & (probability < high)
        assert chosen.sum() > 50
        assert right[chosen].mean().item() == pytest.approx(probability[chosen].mean().item(), abs=0.15)
