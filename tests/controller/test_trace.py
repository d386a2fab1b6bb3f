from __future__ import annotations

import math

import pytest
import torch

from lexivert.controller.belief import Buffer
from lexivert.controller.trace import TraceRecorder
from lexivert.text.lexicon import EOS


def test_steps_by_hand(world):
    """Text of two units: EOS alone explains 1/3 of the energy, one unit more 2/3, both all of it."""
    codebook = world.codebook
    target = world.vectors([[5, 6]])
    buffer = Buffer(torch.tensor([2]), codebook.codes, codebook.binding)
    recorder = TraceRecorder(target)
    recorder.record_ends(buffer, torch.tensor([0]))
    row, positions, units = torch.zeros(2, dtype=torch.int64), torch.tensor([1, 0]), torch.tensor([6, 5])
    recorder.put(buffer, row, positions, units, torch.tensor([0.9, 0.75]))
    end, first, second = recorder.steps[0]
    assert (end.unit, end.position, end.score, end.buffer) == (EOS, 2, 1.0, (-1, -1))
    assert (first.unit, first.position, first.score, first.buffer) == (6, 1, pytest.approx(0.9), (-1, 6))
    assert (second.unit, second.position, second.score, second.buffer) == (5, 0, 0.75, (5, 6))
    assert end.residual == pytest.approx(math.sqrt(2 / 3), abs=0.05)
    assert first.residual == pytest.approx(math.sqrt(1 / 3), abs=0.05)
    assert second.residual == pytest.approx(0.0, abs=1e-3)


def test_recorded_commits_are_those_of_one_call(world):
    codebook = world.codebook
    together = Buffer(torch.tensor([3, 2]), codebook.codes, codebook.binding)
    one_by_one = Buffer(torch.tensor([3, 2]), codebook.codes, codebook.binding)
    rows, positions = torch.tensor([0, 1, 0]), torch.tensor([2, 0, 0])
    units = torch.tensor([9, 8, 7])
    together.put(rows, positions, units, torch.ones(3))
    recorder = TraceRecorder(world.vectors([[1, 2, 3], [4, 5]]))
    recorder.put(one_by_one, rows, positions, units, torch.full((3,), 0.5))
    assert torch.equal(together.units, one_by_one.units)
    torch.testing.assert_close(together.total, one_by_one.total)
    assert [[step.unit for step in steps] for steps in recorder.steps] == [[9, 7], [8]]


def test_guesses_are_shown_as_open(world):
    codebook = world.codebook
    buffer = Buffer(torch.tensor([2]), codebook.codes, codebook.binding)
    zero = torch.tensor([0])
    buffer.put(zero, zero, torch.tensor([5]), torch.tensor([0.6]))
    recorder = TraceRecorder(world.vectors([[5, 6]]))
    recorder.put(buffer, zero, torch.tensor([1]), torch.tensor([6]), torch.ones(1))
    assert recorder.steps[0][0].buffer == (-1, 6)
