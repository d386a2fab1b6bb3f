from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from lexivert.priors.base import TOP_K, Belief, Prior
from lexivert.priors.selector import Selector, SelectorPrior, UnitEmbeddings
from lexivert.text.lexicon import EOS, NEVER

LENGTHS = [5, 2]


@pytest.fixture
def belief():
    """Two texts of five and two units; everything is known of the first but position 1, nothing of the second."""
    generator = torch.Generator().manual_seed(0)
    units = torch.randint(1, 30, (2, 5, TOP_K), generator=generator)
    marginals = torch.rand(2, 5, TOP_K, generator=generator) / TOP_K
    marginals[0, 0] = torch.tensor([1.0, 0.0, 0.0])
    marginals[0, 1] = marginals[1] = 0.0
    units[marginals == 0] = -1
    prefix = torch.nn.functional.normalize(torch.randn(2, 3, generator=generator), dim=1)
    return Belief(units, marginals, torch.tensor(LENGTHS), prefix, torch.tensor([0.9, 0.5]))


VECTORS = torch.randn(30, 6, generator=torch.Generator().manual_seed(1))


def queries(network, belief):
    return network(belief, VECTORS[belief.units.clamp_min(0)])


def selector(*, trained=True):
    torch.manual_seed(0)
    network = Selector(3, 6, 8, 2, 9).eval()
    if trained:
        for layer in (network.query[-1], network.bag_of_words[-1]):
            nn.init.normal_(layer.weight, std=0.5)
    return network


def test_untrained_it_is_the_unigram_prior(belief):
    assert not queries(selector(trained=False), belief).any()


@pytest.mark.parametrize("place", range(5))
def test_a_query_sees_what_is_believed_elsewhere_and_not_at_its_own_position(belief, place):
    network = selector()
    units, marginals = belief.units.clone(), belief.marginals.clone()
    units[0, place], marginals[0, place] = torch.tensor([29, 28, -1]), torch.tensor([0.6, 0.3, 0.0])
    with torch.no_grad():
        before = queries(network, belief)
        after = queries(network, dataclasses.replace(belief, units=units, marginals=marginals))
    changed = (after - before).abs().amax(dim=2) > 1e-6
    assert changed[0].tolist() == [position != place for position in range(5)]
    assert not changed[1].any()


def test_padding_changes_nothing(belief):
    network = selector()
    wider = dataclasses.replace(
        belief,
        units=torch.cat((belief.units, torch.full((2, 3, TOP_K), -1)), dim=1),
        marginals=torch.cat((belief.marginals, torch.zeros(2, 3, TOP_K)), dim=1),
    )
    with torch.no_grad():
        expected, found = queries(network, belief), queries(network, wider)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(found[row, :length], expected[row, :length], atol=1e-5, rtol=1e-5)


def test_a_text_does_not_depend_on_the_others(belief):
    network = selector()
    fields = {field.name: getattr(belief, field.name)[1:] for field in dataclasses.fields(belief)}
    with torch.no_grad():
        alone, together = queries(network, Belief(**fields)), queries(network, belief)
    torch.testing.assert_close(alone[0, :2], together[1, :2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("field", ["prefix", "cosine", "length"])
def test_it_looks_at_prefix_its_noise_and_length(belief, field):
    network = selector()
    changed = getattr(belief, field).clone()
    changed[0] = changed[0] - 1
    with torch.no_grad():
        difference = queries(network, dataclasses.replace(belief, **{field: changed})) - queries(network, belief)
    assert (difference[0].abs().amax(dim=1) > 1e-4).all()
    assert not difference[1].abs().gt(1e-6).any()


def test_without_a_prefix_its_direction_is_nothing(belief):
    network = selector()
    none = dataclasses.replace(belief, cosine=torch.zeros(2))
    other = dataclasses.replace(none, prefix=-belief.prefix)
    with torch.no_grad():
        assert torch.equal(queries(network, none), queries(network, other))
        assert torch.equal(network.log_length(none), network.log_length(other))


def test_every_weight_learns(belief):
    network = selector()
    (queries(network, belief).square().sum() + network.length_logits(belief)[:, 3].sum()).backward()
    still = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


def test_lengths_are_probabilities_and_none_is_ruled_out(belief):
    """However sure the network is, 2 % are spread over the nine lengths."""
    network = selector()
    nn.init.normal_(network.length[2].weight, std=100.0)
    with torch.no_grad():
        log_length = network.log_length(belief)
    assert log_length.shape == (2, 9)
    torch.testing.assert_close(log_length.exp().sum(dim=1), torch.ones(2))
    assert log_length.exp().min().item() == pytest.approx(0.02 / 9, rel=1e-3)
    assert log_length.exp().max() > 0.9


LOG_PRIOR = torch.log(torch.arange(1.0, 31.0) / 465)


def test_the_prior_is_product_plus_bias(belief):
    network = selector()
    prior = SelectorPrior.of(network, VECTORS, LOG_PRIOR)
    assert isinstance(prior, Prior)
    with torch.no_grad():
        logits = prior.output.logits(prior.queries(belief))
        expected = queries(network, belief) @ VECTORS.T + LOG_PRIOR
        torch.testing.assert_close(prior.log_length(belief, 9), network.log_length(belief))
    torch.testing.assert_close(logits[:, :, 1:], expected[:, :, 1:])
    assert logits[:, :, EOS].max() < NEVER / 2
    assert LOG_PRIOR[EOS] > NEVER  # what was given is left as it was


def test_the_prior_knows_the_lengths_it_was_made_for(belief):
    with pytest.raises(ValueError, match="knows 9 lengths, not 12"):
        SelectorPrior.of(selector(), VECTORS, LOG_PRIOR).log_length(belief, 12)


def test_the_prior_rules_out_units_and_no_others():
    prior = SelectorPrior.of(selector(), VECTORS, LOG_PRIOR)
    without = prior.without([1, 3])
    assert without.output.bias[[0, 1, 3]].tolist() == [NEVER] * 3
    assert torch.equal(without.output.bias[4:], LOG_PRIOR[4:])
    assert prior.output.bias[1] == LOG_PRIOR[1]  # a copy
    assert without.output.weight is prior.output.weight
    assert without.selector is prior.selector


def test_moved_to_a_device_its_answers_are_there(belief):
    """The meta device computes nothing, but it refuses what lies elsewhere."""
    prior = SelectorPrior.of(selector(), VECTORS, LOG_PRIOR).to("meta")
    moved = Belief(**{field.name: getattr(belief, field.name).to("meta") for field in dataclasses.fields(belief)})
    assert prior.output.logits(prior.queries(moved)).device.type == "meta"
    assert prior.log_length(moved, 9).device.type == "meta"


def test_unit_vectors_are_projected_features_and_free_ones_for_frequent_units():
    torch.manual_seed(0)
    features, log_prior = torch.randn(5, 4), torch.randn(5)
    space = UnitEmbeddings(features, log_prior, embedding_dim=3, free=2)
    nn.init.normal_(space.free)
    scaled = 8.0 * features / features.norm(dim=1, keepdim=True)
    expected = scaled @ space.project.weight.T
    expected[:2] += space.free
    with torch.no_grad():
        torch.testing.assert_close(space(torch.tensor([4, 1, 0])), expected[[4, 1, 0]])
    assert torch.equal(space.bias, log_prior)


@pytest.mark.parametrize("free", [2, 5])
def test_the_partition_of_all_units_has_the_value_and_gradients_of_all_logits_at_once(free):
    torch.manual_seed(0)
    space = UnitEmbeddings(torch.randn(5, 4), torch.randn(5), embedding_dim=3, free=free)
    nn.init.normal_(space.free)
    queries, wanted = torch.randn(6, 3, requires_grad=True), [*space.parameters()]
    naive = (queries @ space(torch.arange(5)).T + space.bias).logsumexp(dim=1)
    expected = torch.autograd.grad(naive.square().sum(), [queries, *wanted])
    found = space.log_partition(queries, space.features)
    torch.testing.assert_close(found, naive)
    gradients = torch.autograd.grad(found.square().sum(), [queries, *wanted])
    for own, right in zip(gradients, expected, strict=True):
        torch.testing.assert_close(own, right, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(space.log_partition(queries, space.features.bfloat16()), naive, atol=0.2, rtol=0.02)
