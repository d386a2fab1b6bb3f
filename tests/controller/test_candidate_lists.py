from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.controller.candidate_lists import LISTED, CandidateLists, distinct_lists
from lexivert.controller.evidence import Evidence
from lexivert.controller.posterior import IndexPosterior
from lexivert.priors.unigram import FixedPrior
from lexivert.search.output_layer import OutputLayer
from lexivert.search.unit_index import UnitIndex
from sections import section

POSITIONS = torch.tensor([0, 2, 1, 0, 2, 2])
WIDTH, HIDDEN = 16, 2


def source(units):
    """Posteriors over all units, under a prior whose queries are given in every call."""
    generator = torch.Generator().manual_seed(0)
    codes = F.normalize(torch.randn(units, WIDTH, generator=generator), dim=1).half()
    index = UnitIndex.build(codes, section("index", factory="Flat", search_dims=0, shortlist=8, frequent=units))
    layer = OutputLayer(torch.randn(units, HIDDEN, generator=generator), torch.randn(units, generator=generator))
    return IndexPosterior(index, FixedPrior(layer), 48)


def asked(seed=1):
    """Natural parameters and the prior's queries."""
    generator = torch.Generator().manual_seed(seed)
    natural = 4.0 * torch.randn(len(POSITIONS), WIDTH, generator=generator)
    return natural, torch.randn(len(POSITIONS), HIDDEN, generator=generator)


def given(natural, queries):
    """The same as evidence, in noise of variance ½."""
    return Evidence(natural, queries, torch.full((len(natural),), 0.5))


def dense(searched, natural, queries, allowed):
    """Softmax over the allowed units of every query, one by one; mean code and log evidence."""
    codes, layer = searched.index.codes.float(), searched.prior.output
    marginals, log_evidence = torch.zeros(len(natural), len(codes)), torch.zeros(len(natural))
    for row, units in enumerate(allowed):
        chosen = sorted(units)
        log_prior = layer.weight[chosen] @ queries[row] + layer.bias[chosen]
        logits = codes[chosen] @ natural[row] - codes[chosen].square().sum(dim=1) + log_prior
        marginals[row, chosen] = logits.softmax(dim=0)
        log_evidence[row] = logits.logsumexp(dim=0) - log_prior.logsumexp(dim=0)
    return marginals, marginals @ codes, log_evidence


def test_the_first_round_lists_the_likeliest_of_all_units():
    searched, (natural, queries) = source(500), asked()
    found = CandidateLists(searched, 3).posterior(given(natural, queries), 5, POSITIONS)
    expected = searched.posterior(given(natural, queries), LISTED)
    assert torch.equal(found.units, expected.units[:, :5])
    torch.testing.assert_close(found.marginals, expected.marginals[:, :5], atol=0.003, rtol=0.0)
    torch.testing.assert_close(found.mean, expected.mean, atol=0.01, rtol=0.0)


def test_all_units_are_compared_in_full_rounds_and_lists_in_the_others():
    """With one unit a query on a list, another query's likeliest is found in a full round alone."""
    searched, rounds = source(300), [given(*asked(seed)) for seed in (1, 2, 3, 4)]
    lists = CandidateLists(searched, 3, full_rounds=(0, 2), listed=1)
    found = [set(lists.posterior(evidence, 1, POSITIONS).units.flatten().tolist()) for evidence in rounds]
    liked = [set(searched.posterior(evidence, 1).units[:, 0].tolist()) for evidence in rounds]
    assert [own == best for own, best in zip(found, liked, strict=True)] == [True, False, True, False]
    assert found[1] <= liked[0]
    assert found[3] <= liked[0] | liked[2]


def test_where_every_unit_is_listed_nothing_is_lost():
    searched, (natural, queries) = source(40), asked()
    lists = CandidateLists(searched, 3, full_rounds=(0,))
    lists.posterior(given(*asked(seed=2)), 5, POSITIONS)
    found = lists.posterior(given(natural, queries), 5, POSITIONS)
    marginals, mean, log_evidence = dense(searched, natural, queries, [range(40)] * 6)
    ordered, units = marginals.sort(dim=1, descending=True)
    assert torch.equal(found.units, units[:, :5])
    torch.testing.assert_close(found.marginals, ordered[:, :5], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.mean, mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.log_evidence, log_evidence, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_position_has_what_any_of_its_queries_liked_once_and_no_more(rounds):
    """The newest come first, those that two queries share count once."""
    searched, (natural, queries) = source(300), asked()
    lists = CandidateLists(searched, 3, full_rounds=(0, 1) if rounds == 2 else (0,), listed=6)
    lists.longest = 9
    liked: list[list[int]] = [[], [], []]
    for number in range(rounds):
        evidence = given(*((natural, queries) if number == rounds - 1 else asked(seed=7)))
        lists.posterior(evidence, 5, POSITIONS)
        likings = searched.posterior(evidence, 6).units[:, :6]
        for position in range(3):
            own = [int(units[rank]) for rank in range(6) for units in likings[position == POSITIONS]]
            liked[position] = list(dict.fromkeys([*own, *liked[position]]))[:9]
    found = lists.posterior(given(natural, queries), 9, POSITIONS)
    allowed = [liked[position] for position in POSITIONS.tolist()]
    marginals, mean, log_evidence = dense(searched, natural, queries, allowed)
    torch.testing.assert_close(found.mean, mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.marginals[:, 0], marginals.amax(dim=1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.marginals.sum(dim=1), torch.ones(6))
    torch.testing.assert_close(found.log_evidence, log_evidence, atol=1e-4, rtol=1e-4)


def test_lists_of_wide_codes_are_shorter():
    searched = source(2000)
    assert CandidateLists(searched, 3).longest == 1024
    assert CandidateLists(searched, 15_000).longest == 100  # 15,000 x 100 x 16 numbers
    assert CandidateLists(source(50), 3).longest == 50


def test_lists_are_distinct_the_likeliest_first():
    draws = torch.Generator().manual_seed(0)
    units = torch.randint(-1, 12, (200,), generator=draws)
    place, rank = torch.randint(5, (200,), generator=draws), torch.randint(9, (200,), generator=draws)
    found = distinct_lists(units, place, rank, 6)
    for number, row in enumerate(found.tolist()):
        chosen = sorted((place == number).nonzero()[:, 0].tolist(), key=lambda one: (int(rank[one]), one))
        naive = list(dict.fromkeys(unit for unit in units[chosen].tolist() if unit >= 0))
        assert row == naive + [-1] * (len(row) - len(naive))
    assert found.shape == (6, 12)
    assert (found[5] == -1).all()


def test_a_position_for_which_nothing_was_found_has_no_unit():
    searched, (natural, queries) = source(40), asked()
    lists = CandidateLists(searched, 4, full_rounds=(0,))  # nobody asks for the last position
    lists.posterior(given(natural, queries), 5, POSITIONS)
    found = lists.posterior(given(natural, queries), 5, torch.tensor([0, 2, 1, 3, 2, 2]))
    assert found.units[3].tolist() == [-1] * 5
    assert not found.mean[3].any()
    assert (found.units[[0, 1, 2, 4, 5]] >= 0).all()
