from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from lexivert.controller.selector import Selector, Slots


@pytest.fixture
def slots():
    generator = torch.Generator().manual_seed(0)
    inside = torch.tensor([[True] * 4 + [False], [True] * 2 + [False] * 3])
    return Slots(
        evidence=torch.randn(2, 5, 12, generator=generator),
        open=torch.tensor([[True, False, True, True, False], [False, True, False, False, False]]),
        inside=inside,
        semantic=torch.randn(2, 3, generator=generator),
        variance=torch.tensor([0.5, 0.02]),
        length=torch.tensor([4, 2]),
    )


def selector(seed=0, *, trained=False):
    torch.manual_seed(seed)
    network = Selector(12, 3, 8, 1, 2, 6).eval()
    if trained:
        nn.init.normal_(network.prior.weight)
        nn.init.normal_(network.gain.weight)
    return network


def test_untrained_it_is_physics(slots):
    intention = selector()(slots)
    expected = torch.stack(
        (
            slots.evidence[0, 0] / 0.5,
            slots.evidence[0, 2] / 0.5,
            slots.evidence[0, 3] / 0.5,
            slots.evidence[1, 1] / 0.02,
        )
    )
    torch.testing.assert_close(intention.raw, expected)
    torch.testing.assert_close(intention.normalised, expected / expected.norm(dim=1, keepdim=True))
    assert intention.prior_weight.item() == 1.0


def test_padding_changes_nothing(slots):
    network = selector(trained=True)
    evidence = slots.evidence.clone()
    evidence[~slots.inside] = 7.0
    torch.testing.assert_close(network(dataclasses.replace(slots, evidence=evidence)).raw, network(slots).raw)
    shorter = dataclasses.replace(
        slots, evidence=slots.evidence[:, :4], open=slots.open[:, :4], inside=slots.inside[:, :4]
    )
    torch.testing.assert_close(network(shorter).raw, network(slots).raw, atol=1e-5, rtol=1e-5)


def test_a_text_does_not_depend_on_the_others(slots):
    network = selector(trained=True)
    alone = Slots(*(getattr(slots, field.name)[1:] for field in dataclasses.fields(slots)))
    torch.testing.assert_close(network(alone).raw, network(slots).raw[3:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("field", ["semantic", "evidence", "variance"])
def test_trained_it_looks_at_everything(slots, field):
    network = selector(trained=True)
    changed = getattr(slots, field).clone()
    changed[0] = changed[0] * 1.5  # of the first text, evidence of the committed unit included
    if field == "evidence":
        changed[0, [0, 2, 3]] = slots.evidence[0, [0, 2, 3]]
    after, before = network(dataclasses.replace(slots, **{field: changed})).raw, network(slots).raw
    assert ((after[:3] - before[:3]).abs().amax(dim=1) > 1e-4).all()
    torch.testing.assert_close(after[3:], before[3:])


def test_every_weight_learns(slots):
    network = selector(trained=True)
    intention = network(slots)
    (intention.raw.square().sum() * intention.prior_weight).backward()
    still = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []
