from __future__ import annotations

import math

import pytest
import torch

from lexivert.priors.base import Prior, UnitPrior
from lexivert.priors.selector import HELD, Context, Selector
from lexivert.text.lexicon import EOS, NEVER

LOG_PRIOR = torch.log(torch.tensor([0.1, 0.2, 0.3, 0.4]))


def context(batch=2, n=3):
    units = torch.full((batch, n, HELD), -1)
    units[0, 1, 0] = 2
    shares = (units >= 0).float()
    semantic = torch.randn(batch, 5, generator=torch.Generator().manual_seed(0))
    return Context(units, shares, torch.full((batch,), n), semantic, torch.ones(batch))


def selector():
    torch.manual_seed(0)
    network = Selector(5, 6, 8, 2, 7).eval()
    torch.nn.init.normal_(network.query[-1].weight)
    return network


def test_a_fixed_prior_is_the_same_everywhere_and_never_end():
    prior = Prior.fixed(LOG_PRIOR)
    logits = prior.queries(context()) @ prior.table.T
    expected = torch.cat((torch.tensor([NEVER]), LOG_PRIOR[1:]))
    assert torch.equal(logits, expected.expand(2, 3, 4))
    assert torch.equal(prior.log_length(context(), 7), torch.zeros(2, 7))


def test_a_learned_prior_is_product_plus_bias():
    network, vectors = selector(), torch.randn(4, 6)
    prior = Prior.learned(network, vectors, LOG_PRIOR)
    with torch.no_grad():
        logits = prior.queries(context()) @ prior.table.T
        expected = network(context(), vectors[context().units.clamp_min(0)]) @ vectors.T + LOG_PRIOR
        torch.testing.assert_close(prior.log_length(context(), 7), network.log_length(context()))
    torch.testing.assert_close(logits[:, :, 1:], expected[:, :, 1:])
    assert logits[:, :, EOS].max() < NEVER / 2
    assert LOG_PRIOR[EOS] > NEVER  # what was given is left as it was


@pytest.mark.parametrize("prior", [Prior.fixed(LOG_PRIOR), Prior.learned(selector(), torch.randn(4, 6), LOG_PRIOR)])
def test_ruled_out_units_and_no_others(prior):
    without = prior.without([1, 3])
    assert without.table[[1, 3], -1].tolist() == [NEVER, NEVER]
    assert torch.equal(without.table[2], prior.table[2])
    assert torch.equal(without.table[:, :-1], prior.table[:, :-1])
    assert prior.table[1, -1] == LOG_PRIOR[1]  # a copy
    assert without.selector is prior.selector


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("variance", [4.0, 12.0])
def test_the_rest_weighs_what_it_weighs_on_average(world, quick, variance):
    """Mean of the summed weights of all units that were not retrieved, over draws of their inner products."""
    log_prior = world.codebook.log_prior
    generator = torch.Generator().manual_seed(1)
    products = math.sqrt(variance) * torch.randn(4000, len(log_prior), generator=generator)
    searched = products[:, : 500 if quick else 2000] + log_prior[: 500 if quick else 2000]
    logits, units = searched.topk(8, dim=1)
    everything = torch.logsumexp(products + log_prior, dim=1).exp()
    truth = (everything - logits.exp().sum(dim=1)).mean()
    asked = torch.full((4000,), quick)
    rest = UnitPrior(log_prior, 500).rest(units, logits[:, -1], torch.full((4000,), variance), asked)
    assert rest.exp().mean().item() == pytest.approx(truth.item(), rel=0.05)
