from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lexivert.controller.evidence import Evidence
from lexivert.controller.posterior import ExpectedTail, IndexPosterior, softmax_with_tail
from lexivert.priors.unigram import FixedPrior
from lexivert.search.output_layer import OutputLayer
from lexivert.search.unit_index import UnitIndex
from sections import section

UNITS, WIDTH, HIDDEN = 600, 64, 2
CODES = F.normalize(torch.randn(UNITS, WIDTH, generator=torch.Generator().manual_seed(1)), dim=1).half()


def index(**changes):
    numbers = {"factory": "Flat", "search_dims": 0, "shortlist": 32, "frequent": 100} | changes
    return UnitIndex.build(CODES, section("index", **numbers))


def prior(layer):
    """A prior of this output layer, EOS not ruled out; its queries are given in every call."""
    return FixedPrior(layer)


def source(layer, candidates, **changes):
    return IndexPosterior(index(**changes), prior(layer), candidates)


def evidence(count=300, strength=20.0):
    """Natural parameters near units of some strength, and prior queries with their output layer."""
    generator = torch.Generator().manual_seed(8)
    truth = torch.randint(UNITS, (count,), generator=generator)
    noise = torch.randn(count, WIDTH, generator=generator) * strength**0.5
    queries = torch.randn(count, HIDDEN, generator=generator)
    layer = OutputLayer(torch.randn(UNITS, HIDDEN, generator=generator), torch.randn(UNITS, generator=generator))
    return strength * CODES[truth].float() + noise, queries, layer


def as_evidence(natural, queries, variance=0.05):
    return Evidence(natural, queries, torch.full((len(natural),), variance))


def dense(natural, queries, layer):
    """Softmax over all units, and the log evidence."""
    log_prior = queries @ layer.weight.T + layer.bias
    logits = natural @ CODES.float().T - CODES.float().square().sum(dim=1) / 0.1 + log_prior
    return logits.softmax(dim=1), logits.logsumexp(dim=1) - log_prior.logsumexp(dim=1)


def test_a_softmax_with_a_tail_by_hand():
    """Weights 1 and 3 beside a tail of 4, and beside none."""
    scores = torch.tensor([[0.0, math.log(3.0)], [0.0, math.log(3.0)], [-math.inf, 0.0]])
    marginals, log_partition = softmax_with_tail(scores, torch.tensor([math.log(4.0), -math.inf, 0.0]))
    expected = torch.tensor([[0.125, 0.375], [0.25, 0.75], [0.0, 0.5]])
    torch.testing.assert_close(marginals, expected)
    torch.testing.assert_close(log_partition, torch.tensor([8.0, 4.0, 2.0]).log())


def test_over_all_units_it_is_the_softmax():
    natural, queries, layer = evidence()
    exact, log_evidence = dense(natural, queries, layer)
    found = source(layer, 600).posterior(as_evidence(natural, queries), 3)
    ordered, units = exact.sort(dim=1, descending=True)
    torch.testing.assert_close(found.marginals, ordered, atol=1e-5, rtol=1e-3)
    torch.testing.assert_close(found.marginals, exact.gather(1, found.units), atol=1e-5, rtol=1e-3)
    assert torch.equal(found.units[:, 0], units[:, 0])
    torch.testing.assert_close(found.mean, exact @ CODES.float(), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.log_evidence, log_evidence, atol=2e-2, rtol=1e-4)  # the prior's sum is rounded


def test_as_many_units_are_told_as_are_asked_for_or_make_up_a_mean():
    natural, queries, layer = evidence(count=20)
    assert source(layer, 8).posterior(as_evidence(natural, queries), 3).units.shape == (20, 8)
    assert source(layer, 8).posterior(as_evidence(natural, queries), 30).units.shape == (20, 30)


def test_priors_that_take_turns_are_not_mixed_up():
    natural, queries, layer = evidence(count=40)
    other = OutputLayer(-layer.weight, -layer.bias)
    searched = index()
    for given in (layer, other, layer):
        expected, _ = dense(natural, queries, given)
        found = IndexPosterior(searched, prior(given), 600).posterior(as_evidence(natural, queries), 3)
        torch.testing.assert_close(found.marginals, expected.gather(1, found.units), atol=1e-5, rtol=1e-3)


def test_few_units_leave_the_others_their_probability():
    """The mean is of the six best alone; what they lack to 1 is the tail mass."""
    natural, queries, layer = evidence()
    exact, log_evidence = dense(natural, queries, layer)
    found = source(layer, 6).posterior(as_evidence(natural, queries), 6)
    assert found.marginals.shape == found.units.shape == (300, 6)
    assert (found.marginals.diff(dim=1) <= 0).all()
    own = exact.gather(1, found.units)
    assert (found.marginals - own).abs().mean() < 3e-4
    assert (found.log_evidence - log_evidence).abs().mean() < 3e-3
    assert (found.log_evidence - log_evidence).mean().abs() < 2e-4  # unbiased
    codes = CODES.float()[found.units]
    torch.testing.assert_close(found.mean, (found.marginals[:, :, None] * codes).sum(dim=1), atol=1e-5, rtol=1e-4)
    assert (found.marginals.sum(dim=1) < 0.9).any()
    torch.testing.assert_close(found.marginals[:, 0], exact.amax(dim=1), atol=1e-2, rtol=1e-2)


def test_a_graph_does_not_count_what_it_found_twice():
    """With codes that tell nothing, every unit has its prior probability, found or not."""
    _, queries, layer = evidence(count=50)
    found = source(layer, 40, factory="HNSW16", ef_search=200).posterior(
        as_evidence(torch.zeros(50, WIDTH), queries, 1e9), 3
    )
    expected = (queries @ layer.weight.T + layer.bias).softmax(dim=1)
    torch.testing.assert_close(found.marginals, expected.gather(1, found.units), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(found.log_evidence, torch.zeros(50), atol=1e-3, rtol=0)


def test_a_graph_knows_units_that_stand_out():
    natural, queries, layer = evidence(strength=60.0)
    exact, _ = dense(natural, queries, layer)
    found = source(layer, 40, factory="HNSW16", ef_search=200).posterior(as_evidence(natural, queries), 3)
    certain = exact.amax(dim=1) > 0.9
    assert certain.sum() > 100
    assert (found.units[certain, 0] == exact[certain].argmax(dim=1)).float().mean() > 0.95


def test_a_unit_that_is_ruled_out_has_no_probability():
    natural, queries, layer = evidence(count=40)
    best = int(source(layer, 3).posterior(as_evidence(natural, queries), 3).units[0, 0])
    found = source(layer.without([best]), 3).posterior(as_evidence(natural, queries), 3)
    assert not found.marginals[found.units == best].any()
    assert torch.isfinite(found.log_evidence).all()


def test_no_queries():
    _, queries, layer = evidence(count=1)
    found = source(layer, 3).posterior(as_evidence(torch.empty(0, WIDTH), queries[:0]), 3)
    assert found.units.shape == found.marginals.shape == (0, 3)
    assert found.mean.shape == (0, WIDTH)
    assert found.log_evidence.shape == (0,)


@pytest.mark.parametrize("frequent_only", [False, True])
@pytest.mark.parametrize("variance", [4.0, 12.0])
def test_the_expected_tail_weighs_what_it_weighs_on_average(world, frequent_only, variance):
    """Log of the summed weights of all units that were not retrieved, over draws of their inner products.

    Its median: the mean of what was not searched is that of a few draws in which one unit outweighs all others.
    """
    log_prior = world.codebook.log_prior
    generator = torch.Generator().manual_seed(1)
    products = math.sqrt(variance) * torch.randn(4000, len(log_prior), generator=generator)
    searched = products[:, : 500 if frequent_only else 2000] + log_prior[: 500 if frequent_only else 2000]
    scores, units = searched.topk(8, dim=1)
    everything = torch.logsumexp(products + log_prior, dim=1).exp()
    truth = (everything - scores.exp().sum(dim=1)).log()
    asked = torch.full((4000,), frequent_only)
    energies, nothing = torch.full_like(log_prior, 0.5), torch.zeros(4000)
    tail = ExpectedTail(log_prior, energies, 500)
    log_tail = tail.log_tail(units, scores[:, -1], torch.full((4000,), variance), nothing, asked)
    assert (log_tail - truth).median().item() == pytest.approx(0.0, abs=0.15)
    assert (log_tail - truth).mean().item() == pytest.approx(0.0, abs=0.15)


def test_with_all_units_retrieved_no_tail_is_expected():
    log_prior = torch.log_softmax(torch.randn(10, generator=torch.Generator().manual_seed(0)), dim=0)
    tail = ExpectedTail(log_prior, torch.full((10,), 0.5), 4)
    units, lowest = torch.arange(10)[None], torch.tensor([-5.0])
    assert tail.log_tail(units, lowest, torch.ones(1), torch.ones(1), torch.tensor([False])).item() == -math.inf
