"""Hard interference cancellation on random codes, one pass of it against a naive reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lexivert.controller import cancellation
from lexivert.controller.cancellation import Cancellation
from lexivert.controller.one_shot import OneShot


@pytest.fixture(scope="module")
def small(make_world):
    return make_world(400, 256, positions=33, frequent=50)


def decoded(world, texts):
    return Cancellation(world.index, world.codebook).decode(world.observed(world.vectors(texts)))


def test_it_reads_what_one_shot_cannot(small):
    texts = small.texts([14] * 12, seed=7)
    found = decoded(small, texts)
    weak = OneShot(small.index, small.codebook).decode(small.observed(small.vectors(texts)))
    right = [a == b for a, b in zip(found.units, texts, strict=True)]
    assert sum(right) > sum(a == b for a, b in zip(weak.units, texts, strict=True))
    assert np.mean(right) >= 0.9
    assert found.verified.tolist() == right
    assert [len(scores) for scores in found.scores] == [len(units) for units in found.units]


@pytest.mark.parametrize("eos_nats", [0.0, 24.0])
def test_one_pass_is_the_naive_loop(make_world, eos_nats, monkeypatch):
    """Every position with all other units of the one-shot reading subtracted, at the scale of least squares."""
    monkeypatch.setattr(cancellation, "MAX_PASSES", 1)
    small = make_world(400, 256, positions=33, frequent=50, eos_nats=eos_nats)
    assert (small.codebook.eos_energies.max() > 2.0) == bool(eos_nats)
    texts, codebook = small.texts([0, 3, 10, 16], seed=7), small.codebook
    order, codes = small.vectors(texts), small.codebook.codes.float()
    start = OneShot(small.index, codebook).decode(small.observed(order)).units
    found = decoded(small, texts)
    for row, vector in enumerate(order):
        total = codebook.superpose([start[row]])[0]
        residual = float(total @ total) / float(vector @ total) * vector - total
        ends = (residual + codebook.eos_codes[len(start[row])]) @ codebook.eos_codes.T
        ends -= codebook.eos_energies / 2
        units = []
        for position in range(int(ends.argmax())):
            own = codes[start[row][position]] if position < len(start[row]) else 0.0
            effective = codebook.binding.unbind(residual, torch.tensor(position)) + own
            units.append(int((codes @ effective).argmax()))
        assert found.units[row] == units


def test_a_text_is_decoded_alike_alone_and_in_a_batch(small):
    texts = small.texts([0, 3, 10, 16], seed=7)
    together = decoded(small, texts)
    assert together.units == [decoded(small, [text]).units[0] for text in texts]


def test_no_texts_at_all(small):
    found = Cancellation(small.index, small.codebook).decode(small.observed(torch.empty(0, 256)))
    assert (found.units, found.scores, found.fit.shape) == ([], [], (0,))
