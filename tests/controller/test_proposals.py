from __future__ import annotations

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller.proposals import Proposals
from lexivert.controller.total_score import log_likelihood


@pytest.fixture(scope="module")
def small(make_world):
    """60 units, 256 wide, with energies by surprisal; EOS's grows from the fourth position on."""
    return make_world(60, 256, positions=12, surprisal_share=0.5, eos_nats=50.0)


def noisy(world, text, cosine=0.6, known=None):
    vectors = add_noise(world.vectors([text]), torch.tensor([cosine]), torch.Generator().manual_seed(0))
    return world.observed(vectors, known)


def by_hand(world, text, changed, observed):
    """Gain of a changed text: evidence of re-encoded sums, and the untrained Selector's prior, which is unigram."""
    sums = world.codebook.superpose([list(text), list(changed)])
    evidence = log_likelihood((sums @ observed.order[0]) / sums.norm(dim=1), world.codebook.width)
    prior = [sum(float(world.prior.output.bias[unit]) for unit in units) for units in (text, changed)]
    return float(evidence[1] - evidence[0]) + prior[1] - prior[0]


def test_every_gain_is_that_of_the_text_encoded_again(small):
    text = [5, 9, 17, 30]
    observed = noisy(small, [5, 9, 18, 30])
    proposals = Proposals(small.parts)
    found = [*proposals.replaced(text, observed, 8), *proposals.shifted(text, observed, 4)]
    kinds = {len(proposal.text) - len(text) for proposal in found}
    assert kinds == {-1, 0, 1}
    for proposal in found:
        assert proposal.gain == pytest.approx(by_hand(small, text, proposal.text, observed), abs=0.05)


@pytest.mark.parametrize(
    "read", [[5, 9, 17, 30, 8], [5, 9, 30, 8], [5, 9, 18, 30, 44, 8], [9, 18, 30, 8], [5, 9, 18, 30, 8, 20]]
)
def test_one_wrong_missing_or_superfluous_unit_is_mended(small, read):
    truth = [5, 9, 18, 30, 8]
    proposals, observed = Proposals(small.parts), noisy(small, truth)
    same_length = len(read) == len(truth)
    best = (proposals.replaced if same_length else proposals.shifted)(read, observed, 8)[0]
    assert best.text == tuple(truth)
    assert best.gain > 5.0
    assert best.position == (2 if same_length else -1)


def test_known_units_stay_and_so_does_the_length(small):
    known = torch.full((1, 12), -1)
    known[0, :2] = torch.tensor([5, 9])
    observed = noisy(small, [5, 9, 18, 30], known=known)
    proposals, read = Proposals(small.parts), [5, 9, 17, 30]
    assert proposals.shifted(read, observed, 8) == []
    assert proposals.substitutes(read, observed, 8).units[:2].tolist() == [[-1] * 8] * 2
    for proposal in proposals.replaced(read, observed, 8):
        assert proposal.text[:2] == (5, 9)
        assert len(proposal.text) == 4
        assert proposal.position in {2, 3}


def test_a_single_unit_is_not_left_out_and_the_longest_text_grows_no_more(small):
    assert all(len(own.text) == 2 for own in Proposals(small.parts).shifted([5], noisy(small, [6]), 4))
    longest = list(range(1, 12))
    found = Proposals(small.parts).shifted(longest, noisy(small, longest), 4)
    assert {len(own.text) for own in found} == {10}


def test_substitutes_are_the_likeliest_units_of_each_position(small):
    truth = [5, 9, 18, 30]
    found = Proposals(small.parts).substitutes([5, 9, 17, 30], noisy(small, truth), 6)
    assert found.units.shape == found.log_prior.shape == (4, 6)
    assert found.units[:, 0].tolist() == truth
    torch.testing.assert_close(found.log_prior, small.prior.output.bias[found.units])
