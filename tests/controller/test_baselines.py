"""Baseline decoders against naive references on random codes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lexivert.controller.baselines import cancellation, nearest_sentence, one_shot

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.superposition import superpose
from lexivert.search.faiss_index import UnitIndex, build
from sections import section

UNITS, WIDTH, POSITIONS = 400, 256, 33


@pytest.fixture(scope="module")
def setting():
    torch.manual_seed(3)
    codes = F.normalize(torch.randn(UNITS, WIDTH), dim=-1).half()
    params = section("index", search_dims=0, frequent=50)
    index = UnitIndex(codes.numpy(), build(codes.numpy(), params), params)
    return codes, index, RotaryBinding(WIDTH, POSITIONS, seed=5)


def texts_of(lengths):
    rng = np.random.default_rng(7)
    return [rng.integers(1, UNITS, size=n).tolist() for n in lengths]


def test_nearest_sentence_is_the_argmax_of_cosines():
    sentences = np.array([[1, 0], [0.6, 0.8], [0, 1]], dtype=np.float16)
    queries = F.normalize(torch.tensor([[2.0, 0.1], [0.1, 3.0], [0.7, 0.7]]), dim=-1)
    assert nearest_sentence(queries, sentences).tolist() == [0, 2, 1]


def test_one_shot_is_the_naive_loop(setting):
    codes, index, binding = setting
    texts = texts_of([0, 1, 5, 12, 20])
    vectors = superpose(texts, codes, binding)
    found = one_shot(vectors, index, binding)
    for vector, text in zip(vectors, found, strict=True):
        naive = []
        for position in range(len(text)):
            evidence = binding.unbind(vector, torch.tensor(position))
            naive.append(int((codes.float() @ evidence).argmax()))
        assert text == naive


def test_one_shot_reads_short_texts_and_fails_on_long_ones(setting):
    codes, index, binding = setting
    short, long = texts_of([1, 2, 3]), texts_of([30] * 8)
    assert one_shot(superpose(short, codes, binding), index, binding) == short
    assert one_shot(superpose(long, codes, binding), index, binding) != long


def test_cancellation_reads_what_one_shot_cannot(setting):
    codes, index, binding = setting
    texts = texts_of([14] * 12)
    vectors = superpose(texts, codes, binding)
    right = [a == b for a, b in zip(cancellation(vectors, index, binding), texts, strict=True)]
    weak = [a == b for a, b in zip(one_shot(vectors, index, binding), texts, strict=True)]
    assert sum(right) > sum(weak)
    assert np.mean(right) >= 0.9


def test_a_text_is_decoded_alike_alone_and_in_a_batch(setting):
    codes, index, binding = setting
    vectors = superpose(texts_of([0, 3, 10, 16]), codes, binding)
    together = cancellation(vectors, index, binding)
    assert together == [cancellation(vector[None], index, binding)[0] for vector in vectors]
