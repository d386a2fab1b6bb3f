from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.controller.belief import OPEN, BeliefState
from lexivert.text.lexicon import EOS

POSITIONS = 20


def codebook(width=16, units=30):
    codes = torch.randn(units, width, generator=torch.Generator().manual_seed(0))
    codes = F.normalize(codes, dim=1).half()
    return Codebook(codes, torch.zeros(units), RotaryBinding(width, POSITIONS, seed=0))


def believing(lengths):
    return BeliefState.of_lengths(codebook(), torch.tensor(lengths))


def bound(codes, pairs):
    """Sum of the codes of (unit, position) pairs."""
    binding = codebook().binding
    return sum(binding.bind(codes[unit].float()[None], torch.tensor([position]))[0] for unit, position in pairs)


def from_scratch(belief):
    """Totals out of means and lengths alone, position by position."""
    known, total = belief.codebook, torch.zeros_like(belief.total)
    for row in range(len(total)):
        for position in range(belief.positions):
            total[row] += known.binding.bind(belief.means[row, position][None], torch.tensor([position]))[0]
        for position in range(POSITIONS):
            eos = known.binding.bind(known.codes[EOS].float()[None], torch.tensor([position]))[0]
            total[row] += belief.lengths[row, position] * eos
    return total


def check(belief):
    everything = torch.arange(len(belief.total))
    torch.testing.assert_close(belief.total, from_scratch(belief), atol=1e-5, rtol=1e-5)
    eos = belief.codebook.codes[EOS].float().square().sum()
    energy = belief.means.square().sum(dim=(1, 2)) + eos * belief.lengths.square().sum(dim=1)
    torch.testing.assert_close(belief.believed_energy(everything), energy)


def guess(belief, rows, positions, units, probability):
    """Put guesses of one candidate each, whose mean is its weighted code."""
    rows, positions, units = (torch.tensor(part, dtype=torch.int64) for part in (rows, positions, units))
    candidates, marginals = torch.full((len(rows), 3), OPEN), torch.zeros(len(rows), 3)
    candidates[:, 0], marginals[:, 0] = units, torch.tensor(probability)
    belief.put(rows, positions, candidates, marginals, belief.codebook.embed(units) * marginals[:, :1])


def test_at_first_only_the_end_is_known():
    belief, rows = believing([3, 0]), torch.arange(2)
    assert belief.length.tolist() == [3, 0]
    assert belief.inside(rows, POSITIONS).sum(dim=1).tolist() == [3, 0]
    assert belief.open(rows, POSITIONS).sum(dim=1).tolist() == [3, 0]
    assert belief.complete(rows).tolist() == [False, True]
    assert belief.believed_energy(rows).tolist() == pytest.approx([1.0, 1.0], abs=1e-3)
    assert belief.expected_energy(rows).tolist() == pytest.approx([4.0, 1.0], abs=1e-3)
    torch.testing.assert_close(belief.total[1], belief.codebook.codes[EOS].float())
    assert not belief.memory.any()
    check(belief)


def test_committing_replacing_and_dropping():
    belief = believing([3, 12])
    codes = belief.codebook.codes.float()
    belief.commit(torch.tensor([0, 1]), torch.tensor([1, 9]), torch.tensor([5, 7]))
    guess(belief, [1], [0], [6], [0.5])
    rows = torch.arange(2)
    assert belief.units[0, :3, 0].tolist() == [OPEN, 5, OPEN]
    assert belief.open(rows, 12)[0, :4].tolist() == [True, False, True, False]
    assert bool(belief.open(rows, 12)[1, 0])  # a guess is still open
    assert belief.believed_energy(rows).tolist() == pytest.approx([2.0, 2.25], abs=1e-3)
    torch.testing.assert_close(belief.means[[0, 1, 1], [1, 0, 9]], torch.stack((codes[5], 0.5 * codes[6], codes[7])))
    check(belief)
    belief.commit(torch.tensor([0]), torch.tensor([1]), torch.tensor([8]))
    belief.drop(torch.tensor([1, 1]), torch.tensor([0, 9]))
    assert belief.units[0, 1].tolist() == [8, OPEN, OPEN]
    assert (belief.units[1] == OPEN).all()
    assert not belief.means[1].any()
    assert not belief.committed[1].any()
    check(belief)


def test_moving_the_end_drops_what_is_beyond():
    belief, positions = believing([5, 2, 4]), torch.arange(4)
    belief.commit(torch.zeros(4, dtype=torch.int64), positions, positions + 10)
    belief.commit(torch.full((4,), 2), positions, positions + 20)
    belief.move_eos(torch.tensor([0, 1]), torch.tensor([2, 7]))
    assert belief.length.tolist() == [2, 7, 4]
    assert belief.units[0, :4, 0].tolist() == [10, 11, OPEN, OPEN]
    assert (belief.units[1] == OPEN).all()
    assert belief.units[2, :4, 0].tolist() == [20, 21, 22, 23]
    assert belief.complete(torch.arange(3)).tolist() == [True, False, True]
    torch.testing.assert_close(
        belief.total[0], bound(belief.codebook.codes, [(10, 0), (11, 1), (EOS, 2)]), atol=1e-5, rtol=1e-5
    )
    check(belief)


def test_sums_equal_a_recomputation_after_many_changes():
    generator = torch.Generator().manual_seed(3)
    belief = believing([18, 10, 3])
    for _ in range(40):
        rows, positions = (torch.rand(3, POSITIONS, generator=generator) < 0.2).nonzero(as_tuple=True)
        keep = positions < belief.length[rows]
        rows, positions = rows[keep], positions[keep]
        units = torch.randint(1, 30, rows.shape, generator=generator)
        kind = torch.randint(0, 3, rows.shape, generator=generator)
        belief.drop(rows[kind == 0], positions[kind == 0])
        guess(belief, *(part[kind == 1].tolist() for part in (rows, positions, units)), 0.5)
        belief.commit(rows[kind == 2], positions[kind == 2], units[kind == 2])
        moved = torch.randperm(3, generator=generator)[:1]
        belief.move_eos(moved, torch.randint(0, POSITIONS, (1,), generator=generator))
        check(belief)
    assert ((belief.units[:, :, 0] == OPEN) == (belief.marginals[:, :, 0] == 0)).all()
    beyond = torch.arange(belief.positions) >= belief.length[:, None]
    assert (belief.units[beyond] == OPEN).all()


def test_replacing_all_means_and_lengths_at_once():
    """What one round of message passing does, for some of the texts."""
    generator = torch.Generator().manual_seed(1)
    belief = believing([3, 5, 2])
    belief.widen(6)
    guess(belief, [1], [4], [9], [0.5])
    before = belief.total[1].clone()
    means = torch.randn(2, belief.positions, 16, generator=generator)
    lengths = torch.rand(2, POSITIONS, generator=generator).softmax(dim=1)
    rows = torch.tensor([2, 0])
    belief.replace(rows, means, lengths)
    assert torch.equal(belief.means[rows], means)
    assert torch.equal(belief.lengths[rows], lengths)
    assert torch.equal(belief.total[1], before)
    check(belief)


def test_nothing_to_put():
    belief = believing([3])
    before = belief.total.clone()
    none = torch.empty(0, dtype=torch.int64)
    belief.commit(none, none, none)
    belief.drop(none, none)
    belief.move_eos(none, none)
    assert torch.equal(belief.total, before)


def test_a_mean_over_candidates_is_subtracted_in_a_guess_place():
    belief = believing([4])
    codes = belief.codebook.codes.float()
    row, position = torch.tensor([0]), torch.tensor([2])
    mean = (0.7 * codes[5] + 0.2 * codes[6])[None]
    belief.put(row, position, torch.tensor([[5, 6, OPEN]]), torch.tensor([[0.7, 0.2, 0.0]]), mean)
    torch.testing.assert_close(belief.means[row, position], mean)
    expected = bound(codes, [(EOS, 4)]) + belief.codebook.binding.bind(mean, position)[0]
    torch.testing.assert_close(belief.total[0], expected)
    assert belief.believed_energy(row).item() == pytest.approx(1.0 + mean.square().sum().item(), abs=1e-3)
    assert bool(belief.open(row, 4)[0, 2])
    belief.commit(row, position, torch.tensor([6]))  # in the guess's place
    torch.testing.assert_close(belief.total[0], bound(codes, [(EOS, 4), (6, 2)]), atol=1e-6, rtol=1e-5)
    assert not belief.open(row, 4)[0, 2]


def test_a_guess_in_place_of_a_commit_opens_its_position():
    belief = believing([1])
    belief.commit(torch.tensor([0]), torch.tensor([0]), torch.tensor([5]))
    assert belief.complete(torch.tensor([0])).item()
    guess(belief, [0], [0], [5], [0.9])
    assert not belief.complete(torch.tensor([0])).item()
    check(belief)


def test_what_a_prior_sees_by_hand():
    """A committed unit, a guess with three candidates, and one replaced by a commit; EOS is not among them."""
    belief = believing([4, 1])
    rows, positions = torch.zeros(3, dtype=torch.int64), torch.tensor([0, 1, 2])
    belief.commit(rows[:1], positions[:1], torch.tensor([5]))
    marginals = torch.tensor([[0.5, 0.25, 0.125], [0.4, 0.3, 0.2]])
    belief.put(rows[1:], positions[1:], torch.tensor([[6, 8, 9], [7, 10, 11]]), marginals, torch.zeros(2, 16))
    belief.commit(rows[2:], positions[2:], torch.tensor([10]))
    prefix, cosine = torch.eye(2), torch.tensor([0.5, 0.25])
    seen = belief.view(torch.tensor([1, 0]), 5, prefix, cosine)
    assert seen.units[0].tolist() == [[OPEN] * 3] * 5
    assert seen.units[1].tolist() == [[5, OPEN, OPEN], [6, 8, 9], [10, OPEN, OPEN], [OPEN] * 3, [OPEN] * 3]
    assert seen.marginals[1].tolist() == [[1.0, 0.0, 0.0], [0.5, 0.25, 0.125], [1.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3]
    assert seen.length.tolist() == [1, 4]
    assert torch.equal(seen.prefix, prefix)
    assert torch.equal(seen.cosine, cosine)
    belief.drop(rows[:1], positions[:1])
    seen = belief.view(torch.tensor([0]), 1, prefix[:1], cosine[:1])
    assert seen.units.tolist() == [[[OPEN] * 3]]
    assert not seen.marginals.any()


def test_beyond_the_end_a_prior_sees_nothing():
    """Message passing goes on believing there, in case the end moves."""
    belief = believing([2])
    belief.widen(4)
    belief.units[0, :, 0], belief.marginals[0, :, 0] = torch.tensor([5, 6, 7, 8]), torch.tensor([0.9, 0.8, 0.7, 0.6])
    seen = belief.view(torch.tensor([0]), 4, torch.ones(1, 2), torch.ones(1))
    assert seen.units[0, :, 0].tolist() == [5, 6, OPEN, OPEN]
    assert seen.marginals[0, :, 0].tolist() == pytest.approx([0.9, 0.8, 0.0, 0.0])
    assert belief.units[0, 3, 0] == 8
