from __future__ import annotations

import math

import pytest
import torch

from lexivert.controller.belief import BeliefState
from lexivert.controller.trace import TraceRecorder, replay
from lexivert.text.lexicon import EOS


def believing(world, lengths):
    return BeliefState.of_lengths(world.codebook, torch.tensor(lengths))


def test_steps_by_hand(world):
    """Text of two units: EOS alone explains 1/3 of the energy, one unit more 2/3, both all of it."""
    belief = believing(world, [2])
    recorder = TraceRecorder(world.vectors([[5, 6]]))
    recorder.record_eos(belief, torch.tensor([0]))
    row, positions, units = torch.zeros(2, dtype=torch.int64), torch.tensor([1, 0]), torch.tensor([6, 5])
    recorder.commit(belief, row, positions, units, torch.tensor([0.9, 0.75]))
    end, first, second = recorder.steps[0]
    assert (end.unit, end.position, end.score, end.buffer) == (EOS, 2, 1.0, (-1, -1))
    assert (first.unit, first.position, first.score, first.buffer) == (6, 1, pytest.approx(0.9), (-1, 6))
    assert (second.unit, second.position, second.score, second.buffer) == (5, 0, 0.75, (5, 6))
    assert end.residual == pytest.approx(math.sqrt(2 / 3), abs=0.05)
    assert first.residual == pytest.approx(math.sqrt(1 / 3), abs=0.05)
    assert second.residual == pytest.approx(0.0, abs=1e-3)


def test_recorded_commits_are_those_of_one_call(world):
    together, one_by_one = believing(world, [3, 2]), believing(world, [3, 2])
    rows, positions = torch.tensor([0, 1, 0]), torch.tensor([2, 0, 0])
    units = torch.tensor([9, 8, 7])
    together.commit(rows, positions, units)
    recorder = TraceRecorder(world.vectors([[1, 2, 3], [4, 5]]))
    recorder.commit(one_by_one, rows, positions, units, torch.full((3,), 0.5))
    assert torch.equal(together.units, one_by_one.units)
    assert torch.equal(together.committed, one_by_one.committed)
    torch.testing.assert_close(together.total, one_by_one.total)
    assert [[step.unit for step in steps] for steps in recorder.steps] == [[9, 7], [8]]


def test_guesses_are_shown_as_open(world):
    belief, zero = believing(world, [2]), torch.tensor([0])
    belief.put(
        zero,
        zero,
        torch.tensor([[5, 7, 9]]),
        torch.tensor([[0.6, 0.1, 0.1]]),
        world.codebook.embed(torch.tensor([5])),
    )
    recorder = TraceRecorder(world.vectors([[5, 6]]))
    recorder.commit(belief, zero, torch.tensor([1]), torch.tensor([6]), torch.ones(1))
    assert recorder.steps[0][0].buffer == (-1, 6)


def test_a_replay_commits_the_surest_first(world):
    """Equal scores go by position."""
    text = [5, 6, 7, 8]
    steps = replay(world.vectors([text]), world.codebook, text, [0.5, 0.9, 0.5, 0.99])
    assert [(step.unit, step.position) for step in steps] == [(EOS, 4), (8, 3), (6, 1), (5, 0), (7, 2)]
    assert [step.score for step in steps] == pytest.approx([1.0, 0.99, 0.9, 0.5, 0.5])
    assert steps[2].buffer == (-1, 6, -1, 8)
    residuals = [step.residual for step in steps]
    assert residuals == sorted(residuals, reverse=True)
    assert residuals[-1] < 1e-3


def test_the_replay_of_an_empty_text_is_its_end(world):
    (step,) = replay(world.vectors([[]]), world.codebook, [], [])
    assert (step.unit, step.position, step.buffer) == (EOS, 0, ())
