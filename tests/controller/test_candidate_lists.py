from __future__ import annotations

import numpy as np
import pytest
import torch
from lexivert.search.candidates import CandidateLists

from lexivert.search import candidates
from lexivert.search.faiss_index import UnitIndex, build
from sections import section

PLACES = torch.tensor([0, 2, 1, 0, 2, 2])


def index(units):
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((units, 16))
    codes = (codes / np.linalg.norm(codes, axis=1, keepdims=True)).astype(np.float16)
    numbers = section("index", factory="Flat", search_dims=0, shortlist=8, frequent=units)
    return UnitIndex(codes, build(codes, numbers), numbers)


def asked(units, seed=1):
    """Queries, and a bias whose queries end in 1."""
    generator = torch.Generator().manual_seed(seed)
    queries = 4.0 * torch.randn(len(PLACES), 16, generator=generator)
    rows = torch.cat((torch.randn(len(PLACES), 2, generator=generator), torch.ones(len(PLACES), 1)), dim=1)
    return queries, (rows, torch.randn(units, 3, generator=generator))


def dense(searched, queries, bias, allowed):
    """Softmax over the allowed units of every query, one by one."""
    codes = torch.from_numpy(searched.codes).float()
    shares = torch.zeros(len(queries), len(codes))
    for row, units in enumerate(allowed):
        chosen = sorted(units)
        logits = codes[chosen] @ queries[row] + bias[1][chosen] @ bias[0][row]
        shares[row, chosen] = logits.softmax(dim=0)
    return shares, shares @ codes


def test_the_first_round_compares_all_units():
    searched, (queries, bias) = index(500), asked(500)
    found = CandidateLists(searched, 3).posterior(queries, 5, bias, PLACES)
    expected = searched.posterior(queries, candidates._CANDIDATES, bias)
    assert torch.equal(found.units, expected.units[:, :5])
    torch.testing.assert_close(found.shares, expected.shares[:, :5])
    torch.testing.assert_close(found.mean, expected.mean)


def test_where_every_unit_is_listed_nothing_is_lost(monkeypatch):
    monkeypatch.setattr(candidates, "_FULL", (0,))
    searched, (queries, bias) = index(40), asked(40)
    lists = CandidateLists(searched, 3)
    other, (rows, _) = asked(40, seed=2)
    lists.posterior(other, 5, (rows, bias[1]), PLACES)
    found = lists.posterior(queries, 5, bias, PLACES)
    shares, mean = dense(searched, queries, bias, [range(40)] * 6)
    ordered, units = shares.sort(dim=1, descending=True)
    assert torch.equal(found.units, units[:, :5])
    torch.testing.assert_close(found.shares, ordered[:, :5], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.mean, mean, atol=1e-5, rtol=1e-4)
    codes = torch.from_numpy(searched.codes).float()
    prior = bias[0] @ bias[1].T
    whole = (queries @ codes.T + prior).logsumexp(dim=1) - prior.logsumexp(dim=1)
    torch.testing.assert_close(found.whole, whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rounds", [1, 2])
def test_a_place_has_what_any_of_its_queries_liked_once_and_no_more(monkeypatch, rounds):
    """The newest likings come first, those that two queries share count once."""
    monkeypatch.setattr(candidates, "_FULL", (0, 1) if rounds == 2 else (0,))
    monkeypatch.setattr(candidates, "_CANDIDATES", 6)
    searched, (queries, bias) = index(300), asked(300)
    lists = CandidateLists(searched, 3)
    lists.longest = 9
    liked: list[list[int]] = [[], [], []]
    for number in range(rounds):
        given, (rows, _) = (queries, bias) if number == rounds - 1 else asked(300, seed=7)
        lists.posterior(given, 5, (rows, bias[1]), PLACES)
        likings = searched.posterior(given, 6, (rows, bias[1])).units
        for place in range(3):
            own = [int(units[rank]) for rank in range(6) for units in likings[place == PLACES]]
            liked[place] = list(dict.fromkeys([*own, *liked[place]]))[:9]
    found = lists.posterior(queries, 9, bias, PLACES)
    shares, mean = dense(searched, queries, bias, [liked[place] for place in PLACES.tolist()])
    torch.testing.assert_close(found.mean, mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.shares[:, 0], shares.amax(dim=1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.shares.sum(dim=1), torch.ones(6))


def test_lists_of_wide_codes_are_shorter():
    searched = index(2000)
    assert CandidateLists(searched, 3).longest == 1024
    assert CandidateLists(searched, 30_000).longest == 100  # 30,000 x 100 x 16 numbers
    assert CandidateLists(index(50), 3).longest == 50


def test_a_place_for_which_nothing_was_found_names_no_unit(monkeypatch):
    monkeypatch.setattr(candidates, "_FULL", (0,))
    searched, (queries, bias) = index(40), asked(40)
    lists = CandidateLists(searched, 4)  # nobody asks for the last place
    lists.posterior(queries, 5, bias, PLACES)
    found = lists.posterior(queries, 5, bias, torch.tensor([0, 2, 1, 3, 2, 2]))
    assert found.units[3].tolist() == [-1] * 5
    assert not found.mean[3].any()
    assert (found.units[[0, 1, 2, 4, 5]] >= 0).all()
