from __future__ import annotations

import pytest

from lexivert.controller.candidates import CandidateSearch


def test_probabilities_mean_what_they_say(make_world):
    """Of pairs with probability p, about the share p is right: noise and prior are here what the model says."""
    world = make_world(1000, 256)
    truth, queries = world.queries(0.045, 1500)
    units, marginals = CandidateSearch(world.prior, world.index, world.codebook, 8).posterior(queries)
    probability, choice = marginals.max(dim=1)
    right = (units.gather(1, choice[:, None])[:, 0] == truth).float()
    assert 0.2 < right.mean() < 0.95
    for low, high in ((0.2, 0.5), (0.5, 0.8), (0.8, 1.0)):
        chosen = (probability >= low) & (probability < high)
        assert chosen.sum() > 50
        assert right[chosen].mean().item() == pytest.approx(probability[chosen].mean().item(), abs=0.15)
