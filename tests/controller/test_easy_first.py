from __future__ import annotations

import math

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller import easy_first
from lexivert.controller.easy_first import EasyFirst, EasyFirstParams
from lexivert.controller.noise import length_evidence
from lexivert.text.lexicon import EOS


def semantic(count):
    return torch.zeros(count, 8)


@pytest.fixture(scope="module")
def decoded(world):
    """One text of each length from 0 to 40, read back without noise."""
    texts = world.texts(list(range(41)))
    return texts, EasyFirst(world.proposer).decode(world.vectors(texts), semantic(41), trace=True)


def test_texts_of_every_length_are_read_exactly(decoded):
    texts, result = decoded
    assert result.units == texts
    assert result.proven.all()
    assert result.fit.min() > 0.9999
    assert [len(scores) for scores in result.scores] == list(range(41))
    assert all(0.0 <= score <= 1.0 for scores in result.scores for score in scores)


def test_the_trace_is_the_rebuild(decoded):
    texts, result = decoded
    for text, steps in zip(texts, result.steps, strict=True):
        assert steps[0].unit == EOS
        assert list(steps[-1].buffer) == text
        assert steps[-1].residual < 0.01
        for step in steps:
            expected = len(step.buffer) if step.unit == EOS else step.buffer.index(step.unit)
            assert step.position == expected or step.buffer[step.position] == step.unit


def test_trace_and_length_of_the_vector_change_nothing(world, decoded):
    texts, _ = decoded
    chosen = texts[3:30:5]
    vectors = world.vectors(chosen)
    result = EasyFirst(world.proposer).decode(1e-3 * vectors, 100 + semantic(len(chosen)))
    assert result.units == chosen
    assert result.steps == [[] for _ in chosen]


def test_a_text_does_not_depend_on_its_batch(world):
    texts = world.texts([7, 25, 1, 0, 33], seed=4)
    target = add_noise(world.vectors(texts), torch.full((5,), 0.9), torch.Generator().manual_seed(1))
    together = EasyFirst(world.proposer).decode(target, semantic(5))
    for row in range(5):
        alone = EasyFirst(world.proposer).decode(target[row : row + 1], semantic(1))
        assert alone.units[0] == together.units[row]
        assert alone.fit.item() == pytest.approx(together.fit[row].item(), abs=1e-4)


def test_noise_is_survived_but_proves_nothing(world):
    texts = world.texts([2, 5, 8, 11, 14] * 4, seed=2)
    target = add_noise(world.vectors(texts), torch.full((20,), 0.9), torch.Generator().manual_seed(1))
    result = EasyFirst(world.proposer).decode(target, semantic(20))
    assert sum(units == text for units, text in zip(result.units, texts, strict=True)) >= 18
    assert not result.proven.any()
    assert result.fit.mean().item() == pytest.approx(0.9, abs=0.03)


def test_rare_units_are_found_after_frequent_ones(world):
    texts = [[1999, 1500, 3], [700, 701, 702, 703]]  # 500 units count as frequent
    assert EasyFirst(world.proposer).decode(world.vectors(texts), semantic(2)).units == texts


def test_one_unit_many_times(world):
    texts = [[7] * 12, [EOS + 1], [5, 5]]
    result = EasyFirst(world.proposer).decode(world.vectors(texts), semantic(3))
    assert result.units == texts


def test_when_rounds_run_out_everything_is_committed(world):
    texts = world.texts([40])
    target = add_noise(world.vectors(texts), torch.tensor([0.5]), torch.Generator().manual_seed(0))
    result = EasyFirst(world.proposer, EasyFirstParams(rounds=1)).decode(target, semantic(1))
    assert len(result.units[0]) == len(result.scores[0]) > 0
    assert not result.proven.any()


def test_no_texts_at_all(world):
    result = EasyFirst(world.proposer).decode(torch.empty(0, 512), semantic(0))
    assert (result.units, result.scores, result.steps) == ([], [], [])


def test_length_before_decoding_by_hand():
    """Orthogonal ends: evidence e at n scores e / sqrt(n + 1) - 1 / (2n + 2)."""
    ends = torch.eye(4)
    target = torch.tensor(
        [
            [0.0, 0.0, 0.5, 0.0],  # at 2: .2887 - .1667 = .1220 beats -.5, -.25, -.125
            [0.62, 0.0, 0.5, 0.0],  # at 0: .62 - .5 = .12 loses against .1220
            [0.63, 0.0, 0.5, 0.0],  # .13 wins
            [0.0, 0.0, 0.0, 0.0],  # the least unlikely is the longest: -.125
        ]
    )
    assert length_evidence(target, ends).argmax(dim=1).tolist() == [2, 2, 0, 3]
    assert 0.5 / math.sqrt(3) - 1 / 6 == pytest.approx(0.1220, abs=1e-4)


def test_memory_of_guesses_reads_more_texts(make_world, monkeypatch):
    """28 units in 256 dimensions, near the limit: more texts come back exactly with the memory than without."""
    world = make_world(1000, 256, candidates=32)
    generator = torch.Generator().manual_seed(5)
    draws = torch.multinomial(world.codebook.log_prior.exp(), 200 * 28, replacement=True, generator=generator)
    texts = [row.tolist() for row in draws.clamp_min(1).view(200, 28)]

    def exact():
        result = EasyFirst(world.proposer).decode(world.vectors(texts), semantic(200))
        return sum(units == text for units, text in zip(result.units, texts, strict=True)) / 200

    remembered = exact()
    monkeypatch.setattr(easy_first, "onsager", lambda channel, spread: torch.zeros_like(channel.residual))
    assert remembered > 0.88
    assert exact() < remembered - 0.04
