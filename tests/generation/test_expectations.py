from __future__ import annotations

import torch

from generation import insertion_cases as cases
from lexivert.generation.expectations import Seen, Targets
from lexivert.priors.base import Belief

UNITS = [cases.FIRST, cases.FIRST + 3, cases.FIRST + 9]


def one(text):
    return torch.tensor([text]), torch.tensor([len(text)])


def log_probability(prefix, text, place):
    """The prior's, of the unit at a place, by its dense logits."""
    units, length = one(text)
    queries = cases.prior().queries(Belief.certain(units, length, prefix, torch.ones(1)))
    return float(cases.prior().output.logits(queries)[0, place, text[place]])


def test_a_unit_s_beliefs_by_hand():
    """Of the second of three units: with a gap in every slot, with none, and anywhere."""
    prefix = cases.sentences().prefixes[:1]
    targets = Targets.of(cases.prior(), prefix, cases.POSITIONS)
    seen = Seen.of(cases.prior(), targets, *one(UNITS))
    a, b, c = UNITS
    spread = [-1, a, -1, b, -1, c, -1]
    anywhere = float(cases.prior().output.logits(targets.anywhere)[0, b])
    expected = [log_probability(prefix, spread, 3), log_probability(prefix, UNITS, 1), anywhere]
    torch.testing.assert_close(seen.belief[0, 1], torch.tensor(expected))
    assert seen.slots.shape == (1, 4, cases.EMBEDDING_DIM)


def test_what_stands_beyond_the_end_counts_for_nothing():
    prefix = cases.sentences().prefixes[:1]
    targets = Targets.of(cases.prior(), prefix, cases.POSITIONS)
    seen = Seen.of(cases.prior(), targets, torch.tensor([[*UNITS, -1, -1]]), torch.tensor([3]))
    alone = Seen.of(cases.prior(), targets, *one(UNITS))
    torch.testing.assert_close(seen.belief[:, :3], alone.belief)
    torch.testing.assert_close(seen.slots[:, :4], alone.slots)
    assert not seen.belief[:, 3:].any()
    assert not seen.vectors[:, 3:].any()


def test_the_expected_size_is_the_mean_of_the_lengths():
    prefix = cases.sentences().prefixes[:2]
    targets = Targets.of(cases.prior(), prefix, cases.POSITIONS)
    belief = Belief.empty(1, torch.ones(2, dtype=torch.int64), prefix)
    shares = cases.prior().log_length(belief, cases.POSITIONS).exp()
    torch.testing.assert_close(targets.size, (shares * torch.arange(cases.POSITIONS)).sum(dim=1) / shares.sum(dim=1))
    assert targets.only([1]).size.equal(targets.size[1:])
