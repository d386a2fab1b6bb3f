from __future__ import annotations

import pytest

from lexivert.training.schedules import cosine, learning_rate_factor, linear_warmup, optimiser_steps


def test_cosine_goes_from_start_to_end():
    assert cosine(0.075, 0.04, 0.0) == pytest.approx(0.075)
    assert cosine(0.075, 0.04, 0.5) == pytest.approx(0.0575)
    assert cosine(0.075, 0.04, 1.0) == pytest.approx(0.04)
    assert cosine(0.075, 0.04, 1.5) == pytest.approx(0.04)


def test_linear_warmup():
    assert [linear_warmup(done, 2.0) for done in (0.0, 0.5, 1.0, 2.0, 3.0)] == [0.0, 0.25, 0.5, 1.0, 1.0]
    assert linear_warmup(0.0, 0.0) == 1.0


@pytest.mark.parametrize(("batches", "accumulation", "steps"), [(243, 8, 31), (8, 8, 1), (1, 8, 1), (9, 8, 2)])
def test_leftover_batches_make_a_step(batches, accumulation, steps):
    assert optimiser_steps(batches, accumulation, 1) == steps
    assert optimiser_steps(batches, accumulation, 16) == 16 * steps


def test_learning_rate_by_hand():
    factors = [learning_rate_factor(step, 10, 0.2) for step in range(10)]
    assert factors[:3] == [0.5, 1.0, 1.0]
    assert factors[6] == pytest.approx(0.5)
    assert factors[9] == pytest.approx(0.0380602)  # cos(7/8 π)
    assert sorted(factors[2:], reverse=True) == factors[2:]


def test_learning_rate_without_warmup_and_of_one_step():
    assert learning_rate_factor(0, 4, 0.0) == 1.0
    assert learning_rate_factor(0, 1, 0.05) == 1.0
    assert all(learning_rate_factor(step, 3, 1.0) > 0 for step in range(3))
