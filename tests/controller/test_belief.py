from __future__ import annotations

import pytest
import torch

from lexivert.codes.bindings import RotaryBinding
from lexivert.controller.belief import OPEN, Buffer
from lexivert.text.lexicon import EOS

POSITIONS = 20


def language(width=16, units=30):
    codes = torch.randn(units, width, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(codes, dim=1), RotaryBinding(width, POSITIONS, seed=0)


def from_scratch(buffer, codes, binding):
    """Totals out of units and weights alone."""
    batch, width = len(buffer.units), codes.shape[1]
    total = torch.zeros(batch, width)
    for row in range(batch):
        for position in range(POSITIONS):
            unit = int(buffer.units[row, position])
            if unit != OPEN:
                code = codes[unit].float() * buffer.weights[row, position]
                total[row] += binding.bind(code[None], torch.tensor([position]))[0]
    return total


def check(buffer, codes, binding):
    torch.testing.assert_close(buffer.total, from_scratch(buffer, codes, binding), atol=1e-5, rtol=1e-5)


def test_at_first_only_the_end_is_known():
    codes, binding = language()
    buffer = Buffer(torch.tensor([3, 0]), codes, binding)
    assert buffer.units[0].tolist() == [OPEN, OPEN, OPEN, EOS] + [OPEN] * 16
    assert buffer.inside().sum(dim=1).tolist() == [3, 0]
    assert buffer.open().sum(dim=1).tolist() == [3, 0]
    assert buffer.known_energy().tolist() == [1.0, 1.0]
    torch.testing.assert_close(buffer.total[1], codes[EOS])
    check(buffer, codes, binding)


def test_committing_replacing_and_dropping():
    codes, binding = language()
    buffer = Buffer(torch.tensor([3, 12]), codes, binding)
    rows, positions = torch.tensor([0, 1, 1]), torch.tensor([1, 0, 9])
    buffer.put(rows, positions, torch.tensor([5, 6, 7]), torch.tensor([1.0, 0.5, 1.0]))
    assert buffer.units[0, :4].tolist() == [OPEN, 5, OPEN, EOS]
    assert buffer.open()[0, :4].tolist() == [True, False, True, False]
    assert bool(buffer.open()[1, 0])  # a guess is still open
    assert buffer.known_energy().tolist() == [2.0, 2.25]
    torch.testing.assert_close(buffer.known(rows, positions), torch.stack((codes[5], 0.5 * codes[6], codes[7])))
    check(buffer, codes, binding)
    buffer.put(rows[:1], positions[:1], torch.tensor([8]), torch.tensor([1.0]))
    buffer.drop(rows[1:], positions[1:])
    assert buffer.units[0, 1] == 8
    assert buffer.units[1].tolist() == [OPEN] * 12 + [EOS] + [OPEN] * 7
    check(buffer, codes, binding)


def test_moving_the_end_drops_what_is_beyond():
    codes, binding = language()
    buffer = Buffer(torch.tensor([5, 2, 4]), codes, binding)
    positions = torch.tensor([0, 1, 2, 3])
    buffer.put(torch.zeros(4, dtype=torch.int64), positions, positions + 10, torch.ones(4))
    buffer.put(torch.full((4,), 2), positions, positions + 20, torch.ones(4))
    buffer.move_end(torch.tensor([0, 1]), torch.tensor([2, 7]))
    assert buffer.length.tolist() == [2, 7, 4]
    assert buffer.units[0].tolist() == [10, 11, EOS] + [OPEN] * 17
    assert buffer.units[1].tolist() == [OPEN] * 7 + [EOS] + [OPEN] * 12
    assert buffer.units[2].tolist() == [20, 21, 22, 23, EOS] + [OPEN] * 15
    check(buffer, codes, binding)


def test_sums_equal_a_recomputation_after_many_changes():
    codes, binding = language()
    generator = torch.Generator().manual_seed(3)
    buffer = Buffer(torch.tensor([18, 10, 3]), codes.half(), binding)
    for _ in range(40):
        rows, positions = (torch.rand(3, POSITIONS, generator=generator) < 0.2).nonzero(as_tuple=True)
        keep = positions < buffer.length[rows]
        rows, positions = rows[keep], positions[keep]
        units = torch.randint(1, 30, rows.shape, generator=generator)
        weights = torch.randint(0, 3, rows.shape, generator=generator) / 2
        buffer.put(rows, positions, units, weights)
        moved = torch.randperm(3, generator=generator)[:1]
        buffer.move_end(moved, torch.randint(0, POSITIONS, (1,), generator=generator))
    assert ((buffer.units == OPEN) == (buffer.weights == 0)).all()
    assert buffer.units[torch.arange(3), buffer.length].tolist() == [EOS] * 3
    check(buffer, codes.half(), binding)


def test_nothing_to_put():
    codes, binding = language()
    buffer = Buffer(torch.tensor([3]), codes, binding)
    before = buffer.total.clone()
    none = torch.empty(0, dtype=torch.int64)
    buffer.put(none, none, none, torch.empty(0))
    buffer.drop(none, none)
    assert torch.equal(buffer.total, before)


def test_a_mean_over_candidates_is_subtracted_in_a_guess_place():
    codes, binding = language()
    buffer = Buffer(torch.tensor([4]), codes, binding)
    row, place = torch.tensor([0]), torch.tensor([2])
    mean = (0.7 * codes[5] + 0.2 * codes[6])[None]
    buffer.put(row, place, torch.tensor([5]), torch.tensor([0.7]), mean)
    torch.testing.assert_close(buffer.known(row, place), mean)
    torch.testing.assert_close(buffer.total[0], codes_at(codes, binding, [(EOS, 4)]) + binding.bind(mean, place)[0])
    assert buffer.known_energy().item() == pytest.approx(1.0 + mean.square().sum().item(), rel=1e-5)
    assert bool(buffer.open()[0, 2])
    buffer.put(row, place, torch.tensor([6]), torch.tensor([1.0]))  # committed in the guess's place
    torch.testing.assert_close(buffer.total[0], codes_at(codes, binding, [(EOS, 4), (6, 2)]))


def test_what_is_held_with_its_candidates_by_hand():
    """A committed unit, a guess with three candidates, and one replaced by a commit; EOS is not among them."""
    codes, binding = language()
    buffer = Buffer(torch.tensor([4, 1]), codes, binding)
    rows, places = torch.zeros(3, dtype=torch.int64), torch.tensor([0, 1, 2])
    buffer.put(rows, places, torch.tensor([5, 6, 7]), torch.tensor([1.0, 0.5, 0.4]))
    shares = torch.tensor([[0.5, 0.25, 0.125], [0.4, 0.3, 0.2]])
    buffer.note(rows[1:], places[1:], torch.tensor([[6, 8, 9], [7, 10, 11]]), shares)
    buffer.put(rows[2:], places[2:], torch.tensor([10]), torch.ones(1))
    units, shares = buffer.held(torch.tensor([1, 0]), 5)
    assert units[0].tolist() == [[OPEN] * 3] * 5
    assert units[1].tolist() == [[5, OPEN, OPEN], [6, 8, 9], [10, OPEN, OPEN], [OPEN] * 3, [OPEN] * 3]
    assert shares[1].tolist() == [[1.0, 0.0, 0.0], [0.5, 0.25, 0.125], [1.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3]
    buffer.drop(rows[:1], places[:1])
    units, shares = buffer.held(torch.tensor([0]), 1)
    assert units.tolist() == [[[OPEN] * 3]]
    assert not shares.any()


def codes_at(codes, binding, pairs):
    return sum(binding.bind(codes[unit][None], torch.tensor([place]))[0] for unit, place in pairs)
