"""One-shot unbinding against a naive reference on random codes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.superposition import superpose
from lexivert.controller.one_shot import OneShot, places


@pytest.fixture(scope="module")
def small(make_world):
    return make_world(400, 256, positions=33, frequent=50)


def test_rows_and_positions_of_texts_of_some_lengths():
    rows, positions = places([2, 0, 3], torch.device("cpu"))
    assert rows.tolist() == [0, 0, 2, 2, 2]
    assert positions.tolist() == [0, 1, 0, 1, 2]


def test_it_is_the_naive_loop(small):
    texts = small.texts([0, 1, 5, 12, 20], seed=7)
    order, codebook = small.vectors(texts), small.codebook
    found = OneShot(small.index, codebook).decode(small.observed(5.0 * order))
    for row, vector in enumerate(order):
        ends = [float(vector @ codebook.eos_codes[n]) / (n + 1) ** 0.5 - 0.5 / (n + 1) for n in range(33)]
        units, cosines = [], []
        for position in range(ends.index(max(ends))):
            effective = codebook.binding.unbind(vector, torch.tensor(position))
            scores = F.cosine_similarity(codebook.codes.float(), effective[None])
            units.append(int(scores.argmax()))
            cosines.append(float(scores.max()))
        assert found.units[row] == units
        assert found.scores[row] == pytest.approx(cosines, abs=1e-3)
        total = superpose([units], codebook.codes, codebook.binding)[0]
        assert found.fit[row].item() == pytest.approx(F.cosine_similarity(vector, total, dim=0).item(), abs=1e-5)
        assert bool(found.verified[row]) == (units == texts[row])


def test_it_reads_short_texts_and_fails_on_long_ones(small):
    short, long = small.texts([1, 2, 3], seed=7), small.texts([30] * 8, seed=7)
    decoder = OneShot(small.index, small.codebook)
    found = decoder.decode(small.observed(small.vectors(short)))
    assert found.units == short
    assert found.verified.all()
    failed = decoder.decode(small.observed(small.vectors(long)))
    assert failed.units != long
    assert not failed.verified.all()


def test_no_texts_at_all(small):
    found = OneShot(small.index, small.codebook).decode(small.observed(torch.empty(0, 256)))
    assert (found.units, found.scores, found.fit.shape) == ([], [], (0,))
