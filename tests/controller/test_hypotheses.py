from __future__ import annotations

import math

import pytest
import torch

from lexivert.controller.hypotheses import BestHypotheses
from lexivert.controller.results import DecodeResult


def found(units, scores, fit, verified):
    return DecodeResult(units, scores, torch.tensor(fit), torch.tensor(verified), [[] for _ in units])


def test_the_likelier_text_is_kept_and_a_verified_one_for_good(world):
    """Unigram probabilities, and -O/2 ln of the energy that the text leaves."""
    prior = world.codebook.log_prior
    best = BestHypotheses(3, 512, prior)
    best.keep_better(torch.tensor([1, 2]), found([[5, 8], [9]], [[0.5, 0.4], [0.3]], [0.6, 0.2], [False, False]))
    expected = [prior[[5, 8]].sum().item() - 256 * math.log(0.64), prior[9].item() - 256 * math.log(0.96)]
    assert best.log_likelihood.tolist() == pytest.approx([-math.inf, *expected], rel=1e-4)
    best.keep_better(torch.tensor([1, 2]), found([[1], [2]], [[0.9], [0.9]], [0.5, 0.5], [False, True]))
    best.keep_better(torch.tensor([2]), found([[3]], [[1.0]], [0.99], [False]))
    assert best.units == [[], [5, 8], [2]]
    assert best.scores == [[], [0.5, 0.4], [0.9]]
    assert best.fit.tolist() == pytest.approx([0.0, 0.6, 0.5])
    assert best.verified.tolist() == [False, False, True]


def test_of_several_texts_of_one_vector_the_likeliest_is_kept(world):
    best = BestHypotheses(1, 512, world.codebook.log_prior)
    texts, fits = [[5], [6], [7]], [0.5, 0.7, 0.6]
    best.keep_better(torch.zeros(3, dtype=torch.int64), found(texts, [[0.5]] * 3, fits, [False] * 3))
    assert best.units == [[6]]


def test_empty_texts_and_no_texts(world):
    """An empty text has the prior probability 1."""
    best = BestHypotheses(1, 512, world.codebook.log_prior)
    best.keep_better(torch.tensor([0]), found([[]], [[]], [0.8], [False]))
    assert best.log_likelihood.item() == pytest.approx(-256 * math.log(0.36), rel=1e-4)
    best.keep_better(torch.empty(0, dtype=torch.int64), found([], [], [], []))
    assert best.fit.item() == pytest.approx(0.8)
