"""The benchmark of ``code.semantic_share``: cosines from those of the parts, and reading in noise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lexivert.codes.superposition import join_parts, split_parts
from lexivert.evaluation.sts_files import Pair
from lexivert.evaluation.texts import encode_texts

TEXTS = ["The old captain saw the river.", "Emma saw two lamps near the old mill.", "She built the house."]


@pytest.fixture(scope="module")
def bench(load):
    return load("semantic_share")


@pytest.mark.parametrize("share", [0.2, 0.9, 1.0])
def test_cosines_of_pairs_are_those_of_vectors_of_that_share(bench, tiny_model, share):
    pairs = [Pair("", 1.0, TEXTS[0], TEXTS[1]), Pair("", 2.0, TEXTS[1], TEXTS[2])]
    parts = split_parts(torch.from_numpy(tiny_model.encode(TEXTS)), tiny_model.semantic_width)
    vectors = join_parts(*parts, share)
    expected = [float(vectors[0] @ vectors[1]), float(vectors[1] @ vectors[2])]
    assert bench.pair_cosines(tiny_model, pairs).full(share) == pytest.approx(expected, abs=1e-5)


def test_reciprocal_rank_by_hand(bench):
    """The first query's document is second, the second's first: (1/2 + 1) / 2."""
    retrieval = bench.Retrieval(["a", "b"], ["x", "y", "z"], np.array([0, 2]))
    cosines = np.array([[0.5, 0.9, 0.1], [0.2, 0.1, 0.3]], np.float32)
    assert retrieval.reciprocal_rank(cosines) == 0.75


def test_a_larger_share_costs_reading_in_noise(bench, tiny_model, monkeypatch):
    monkeypatch.setattr(bench, "CONDITIONS", {"clean": (1.0, "float32"), "cosine_0.9": (0.9, "float32")})
    texts = encode_texts(tiny_model.encoder, TEXTS)
    low, high = (bench.reading(tiny_model, tiny_model.decoder.parts, texts, share, seed=0) for share in (0.1, 0.995))
    assert low["clean"]["exact_match"] == high["clean"]["exact_match"] == 1.0
    assert low["cosine_0.9"]["exact_match"] > high["cosine_0.9"]["exact_match"]
    assert low["clean"]["texts"] == 3
    assert low["clean"]["texts_per_second"] > 0.0


def test_codes_of_equal_power_are_the_same_directions(bench, tiny_model):
    own, equal = tiny_model.decoder.codebook.codes.float(), bench.equal_power(tiny_model).codebook
    torch.testing.assert_close(equal.energies, torch.ones(len(own)), atol=2e-3, rtol=0.0)
    assert own.square().sum(dim=1).std() > 0.05
    assert torch.cosine_similarity(own, equal.codes.float(), dim=1).min() > 0.999
