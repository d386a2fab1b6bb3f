from __future__ import annotations

import dataclasses

import torch
from torch import nn

from lexivert.controller.placer import CANDIDATE_FEATURES, SLOT_FEATURES, Placement, Placer


def seen():
    generator = torch.Generator().manual_seed(0)
    return Placement(
        slots=torch.randn(2, 4, SLOT_FEATURES, generator=generator),
        inside=torch.tensor([[True] * 4, [True] * 2 + [False] * 2]),
        rows=(torch.tensor([0, 0, 1]), torch.tensor([1, 3, 0])),
        candidates=torch.randn(3, 5, CANDIDATE_FEATURES, generator=generator),
        log_odds=torch.tensor([[0.5, -40.0, 30.0, -1.0, 2.0]]).expand(3, 5),
    )


def placer(*, trained):
    torch.manual_seed(0)
    network = Placer(8, 1, 2).eval()
    if trained:
        nn.init.normal_(network.correction.weight)
    return network


def test_untrained_it_keeps_the_posterior_within_twelve():
    expected = torch.tensor([[0.5, -12.0, 12.0, -1.0, 2.0]]).expand(3, 5)
    torch.testing.assert_close(placer(trained=False)(seen()), expected)


def test_padding_changes_nothing():
    network, placement = placer(trained=True), seen()
    slots = placement.slots.clone()
    slots[1, 2:] = 9.0
    torch.testing.assert_close(network(dataclasses.replace(placement, slots=slots)), network(placement))


def test_a_candidate_is_judged_by_itself_and_by_the_text_around():
    network, placement = placer(trained=True), seen()
    candidates = placement.candidates.clone()
    candidates[1, 2] += 1.0
    changed = network(dataclasses.replace(placement, candidates=candidates)) != network(placement)
    assert changed.nonzero().tolist() == [[1, 2]]
    slots = placement.slots.clone()
    slots[0, 2, 0] += 1.0  # neither asked position of text 0 is 2
    changed = (network(dataclasses.replace(placement, slots=slots)) - network(placement)).abs() > 1e-6
    assert changed.any(dim=1).tolist() == [True, True, False]
