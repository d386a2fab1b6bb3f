from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from lexivert.priors.selector import HELD, Context, Selector, UnitEmbeddings

LENGTHS = [5, 2]


@pytest.fixture
def context():
    """Two texts of five and two units; everything is known of the first but position 1, nothing of the second."""
    generator = torch.Generator().manual_seed(0)
    units = torch.randint(1, 30, (2, 5, HELD), generator=generator)
    shares = torch.rand(2, 5, HELD, generator=generator) / HELD
    shares[0, 0] = torch.tensor([1.0, 0.0, 0.0])
    shares[0, 1] = shares[1] = 0.0
    units[shares == 0] = -1
    semantic = torch.nn.functional.normalize(torch.randn(2, 3, generator=generator), dim=1)
    return Context(units, shares, torch.tensor(LENGTHS), semantic, torch.tensor([0.9, 0.5]))


VECTORS = torch.randn(30, 6, generator=torch.Generator().manual_seed(1))


def queries(network, context):
    return network(context, VECTORS[context.units.clamp_min(0)])


def selector(*, trained=True):
    torch.manual_seed(0)
    network = Selector(3, 6, 8, 2, 9).eval()
    if trained:
        for layer in (network.query[-1], network.topic[-1]):
            nn.init.normal_(layer.weight, std=0.5)
    return network


def test_untrained_it_is_the_unigram_prior(context):
    assert not queries(selector(trained=False), context).any()


@pytest.mark.parametrize("place", range(5))
def test_a_query_sees_what_is_held_elsewhere_and_not_at_its_own_position(context, place):
    network = selector()
    units, shares = context.units.clone(), context.shares.clone()
    units[0, place], shares[0, place] = torch.tensor([29, 28, -1]), torch.tensor([0.6, 0.3, 0.0])
    with torch.no_grad():
        before = queries(network, context)
        after = queries(network, dataclasses.replace(context, units=units, shares=shares))
    changed = (after - before).abs().amax(dim=2) > 1e-6
    assert changed[0].tolist() == [position != place for position in range(5)]
    assert not changed[1].any()


def test_padding_changes_nothing(context):
    network = selector()
    wider = dataclasses.replace(
        context,
        units=torch.cat((context.units, torch.full((2, 3, HELD), -1)), dim=1),
        shares=torch.cat((context.shares, torch.zeros(2, 3, HELD)), dim=1),
    )
    with torch.no_grad():
        expected, found = queries(network, context), queries(network, wider)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(found[row, :length], expected[row, :length], atol=1e-5, rtol=1e-5)


def test_a_text_does_not_depend_on_the_others(context):
    network = selector()
    fields = {field.name: getattr(context, field.name)[1:] for field in dataclasses.fields(context)}
    with torch.no_grad():
        alone, together = queries(network, Context(**fields)), queries(network, context)
    torch.testing.assert_close(alone[0, :2], together[1, :2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("field", ["semantic", "cosine", "length"])
def test_it_looks_at_prefix_its_noise_and_length(context, field):
    network = selector()
    changed = getattr(context, field).clone()
    changed[0] = changed[0] - 1
    with torch.no_grad():
        difference = queries(network, dataclasses.replace(context, **{field: changed})) - queries(network, context)
    assert (difference[0].abs().amax(dim=1) > 1e-4).all()
    assert not difference[1].abs().gt(1e-6).any()


def test_without_a_prefix_its_direction_is_nothing(context):
    network = selector()
    none = dataclasses.replace(context, cosine=torch.zeros(2))
    other = dataclasses.replace(none, semantic=-context.semantic)
    with torch.no_grad():
        assert torch.equal(queries(network, none), queries(network, other))
        assert torch.equal(network.log_length(none), network.log_length(other))


def test_every_weight_learns(context):
    network = selector()
    (queries(network, context).square().sum() + network.length_logits(context)[:, 3].sum()).backward()
    still = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


def test_lengths_are_probabilities_and_none_is_ruled_out(context):
    """However sure the network is, 2 % are spread over the nine lengths."""
    network = selector()
    nn.init.normal_(network.length[2].weight, std=100.0)
    with torch.no_grad():
        log_length = network.log_length(context)
    assert log_length.shape == (2, 9)
    torch.testing.assert_close(log_length.exp().sum(dim=1), torch.ones(2))
    assert log_length.exp().min().item() == pytest.approx(0.02 / 9, rel=1e-3)
    assert log_length.exp().max() > 0.9


def test_unit_vectors_are_projected_features_and_free_ones_for_frequent_units():
    torch.manual_seed(0)
    features, log_prior = torch.randn(5, 4), torch.randn(5)
    space = UnitEmbeddings(features, log_prior, rank=3, free=2)
    nn.init.normal_(space.free)
    scaled = 8.0 * features / features.norm(dim=1, keepdim=True)
    expected = scaled @ space.project.weight.T
    expected[:2] += space.free
    with torch.no_grad():
        torch.testing.assert_close(space(torch.tensor([4, 1, 0])), expected[[4, 1, 0]])
        torch.testing.assert_close(space.every(space.features), expected)
        torch.testing.assert_close(space.every(space.features.bfloat16()), expected, atol=0.2, rtol=0.02)
    assert torch.equal(space.bias, log_prior)
