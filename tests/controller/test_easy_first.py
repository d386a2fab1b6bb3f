from __future__ import annotations

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller import easy_first
from lexivert.controller.easy_first import EasyFirst
from lexivert.controller.observation import Observation
from lexivert.text.lexicon import EOS
from sections import section


def decoder(world, **changes):
    numbers = {"candidates": world.params.easy_first.candidates} | changes
    return EasyFirst(world.index, world.codebook, world.prior, section("controller.easy_first", **numbers))


@pytest.fixture(scope="module")
def decoded(world):
    """One text of each length from 0 to 40, read back without noise."""
    texts = world.texts(list(range(41)))
    return texts, decoder(world).decode(world.observed(world.vectors(texts)), trace=True)


def test_texts_of_every_length_are_read_exactly(decoded):
    texts, found = decoded
    assert found.units == texts
    assert found.verified.all()
    assert found.fit.min() > 0.9999
    assert [len(scores) for scores in found.scores] == list(range(41))
    assert all(0.0 <= score <= 1.0 for scores in found.scores for score in scores)


def test_the_trace_is_the_rebuild(decoded):
    texts, found = decoded
    for text, steps in zip(texts, found.steps, strict=True):
        assert steps[0].unit == EOS
        assert list(steps[-1].buffer) == text
        assert steps[-1].residual < 0.01
        for step in steps:
            expected = len(step.buffer) if step.unit == EOS else step.buffer.index(step.unit)
            assert step.position == expected or step.buffer[step.position] == step.unit


def test_trace_and_length_of_the_vector_change_nothing(world, decoded):
    texts, _ = decoded
    chosen = texts[3:30:5]
    prefix = torch.full((len(chosen), 8), 100.0)
    found = decoder(world).decode(Observation.of(1e-3 * world.vectors(chosen), prefix))
    assert found.units == chosen
    assert found.steps == [[] for _ in chosen]


def test_a_text_does_not_depend_on_its_batch(world):
    texts = world.texts([7, 25, 1, 0, 33], seed=4)
    order = add_noise(world.vectors(texts), torch.full((5,), 0.9), torch.Generator().manual_seed(1))
    together = decoder(world).decode(world.observed(order))
    for row in range(5):
        alone = decoder(world).decode(world.observed(order[row : row + 1]))
        assert alone.units[0] == together.units[row]
        assert alone.fit.item() == pytest.approx(together.fit[row].item(), abs=1e-4)


def test_noise_is_survived_but_verifies_nothing(world):
    texts = world.texts([2, 5, 8, 11, 14] * 4, seed=2)
    order = add_noise(world.vectors(texts), torch.full((20,), 0.9), torch.Generator().manual_seed(1))
    found = decoder(world).decode(world.observed(order))
    assert sum(units == text for units, text in zip(found.units, texts, strict=True)) >= 18
    assert not found.verified.any()
    assert found.fit.mean().item() == pytest.approx(0.9, abs=0.03)


def test_rare_units_are_found_after_frequent_ones(world):
    texts = [[1999, 1500, 3], [700, 701, 702, 703]]  # 500 units count as frequent
    assert decoder(world).decode(world.observed(world.vectors(texts))).units == texts


def test_one_unit_many_times(world):
    texts = [[7] * 12, [EOS + 1], [5, 5]]
    assert decoder(world).decode(world.observed(world.vectors(texts))).units == texts


def test_when_rounds_run_out_everything_is_committed(world):
    texts = world.texts([40])
    order = add_noise(world.vectors(texts), torch.tensor([0.5]), torch.Generator().manual_seed(0))
    found = decoder(world, rounds=1).decode(world.observed(order))
    assert len(found.units[0]) == len(found.scores[0]) > 0
    assert not found.verified.any()


def test_an_end_that_was_found_wrongly_is_moved(make_world):
    """28 units in 256 dimensions: at first noise hides the end of some texts, which are read all the same."""
    world = make_world(1000, 256, candidates=32)
    texts = world.drawn(60, 26, seed=4)
    found = decoder(world).decode(world.observed(world.vectors(texts)), trace=True)
    moved = [
        row
        for row, steps in enumerate(found.steps)
        if found.units[row] == texts[row] and steps[0].position != len(texts[row])
    ]
    assert moved
    for row in moved:
        assert [step.position for step in found.steps[row] if step.unit == EOS][-1] == 26


def test_no_texts_at_all(world):
    found = decoder(world).decode(world.observed(torch.empty(0, 512)))
    assert (found.units, found.scores, found.steps) == ([], [], [])
    assert found.fit.shape == found.verified.shape == (0,)


def test_memory_of_guesses_reads_more_texts(make_world, monkeypatch):
    """28 units in 256 dimensions, near the limit: more texts come back exactly with the memory than without."""
    world = make_world(1000, 256, candidates=32)
    generator = torch.Generator().manual_seed(5)
    draws = torch.multinomial(world.codebook.log_prior.exp(), 200 * 28, replacement=True, generator=generator)
    texts = [row.tolist() for row in draws.clamp_min(1).view(200, 28)]

    def exact():
        found = decoder(world).decode(world.observed(world.vectors(texts)))
        return sum(units == text for units, text in zip(found.units, texts, strict=True)) / 200

    remembered = exact()
    monkeypatch.setattr(easy_first, "onsager", lambda estimate, divergence: torch.zeros_like(estimate.residual))
    assert remembered > 0.88
    assert exact() < remembered - 0.04
