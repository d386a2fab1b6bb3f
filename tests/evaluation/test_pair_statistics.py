from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.token_head import TokenHead, TokenHeadConfig
from lexivert.data.relations import Relations
from lexivert.evaluation.pair_statistics import (
    distribution,
    pair_cosines,
    pair_report,
    reconstruction_report,
)
from lexivert.evaluation.token_head_report import heldout_report


def test_distribution_by_hand():
    summary = distribution(torch.arange(101.0))
    assert summary == pytest.approx({"mean": 50, "max": 100, "p50": 50, "p95": 95, "p99": 99})


def test_pair_cosines_over_blocks():
    vectors = torch.randn(10, 4)
    left, right = torch.arange(9), torch.arange(1, 10)
    expected = F.cosine_similarity(vectors[left], vectors[right], dim=-1)
    torch.testing.assert_close(pair_cosines(vectors, left, right, block=4), expected)
    assert pair_cosines(vectors, left[:0], right[:0]).shape == (0,)


def test_pair_report_by_hand():
    vectors = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    empty = torch.empty(0, dtype=torch.int64)
    pairs = {
        "synonym": (torch.tensor([0]), torch.tensor([1])),
        "random": (torch.tensor([0, 0]), torch.tensor([2, 3])),
        "sibling": (empty, empty),
    }
    assert pair_report(vectors, pairs) == pytest.approx(
        {"synonym_cosine": 0.8, "random_cosine": -0.5, "synonym_gap": 1.3, "synonym_gap_deviations": 2.6}
    )


def test_reconstruction_by_hand():
    predicted, target = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, 1.0]])
    report = reconstruction_report(predicted, target, torch.tensor([1.0, 0.0]))
    assert report["cosine"] == pytest.approx(3 / 10**0.5)
    assert report["cosine_centred"] == pytest.approx(0.5**0.5)
    assert report["cosine_of_mean_feature"] == pytest.approx(0.5**0.5)


@pytest.fixture
def space():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(60, 8)).astype(np.float16) + 1
    features[1::2] = features[::2] + 0.2 * generator.normal(size=(30, 8)).astype(np.float16)
    left = np.arange(60)
    pairs = {
        "synonym": Relations.from_pairs(left, left ^ 1, 60),
        "antonym": Relations.from_pairs(left[:0], left[:0], 60),
    }
    torch.manual_seed(0)
    head = TokenHead(TokenHeadConfig(8, 16, 128, 0.6, 42))
    head.fit_statistics(torch.from_numpy(features).float())
    return head.eval(), features, [f"unit {number}" for number in range(60)], pairs


def test_report_compares_spaces(space):
    head, features, surfaces, pairs = space
    out = np.arange(60) < 20
    report = heldout_report(head, features, surfaces, out, pairs, seed=1)
    assert report["units"] == 20
    assert report["pairs"]["synonym"] == 20
    assert report["pairs"]["antonym"] == 0
    for name in ("features", "centred_features", "head_codes", "identity", "unit_codes"):
        assert set(report[name]["nearest"]) == {"mean", "max", "p50", "p95", "p99"}
    assert report["features"]["nearest"]["mean"] > report["centred_features"]["nearest"]["mean"] - 0.1
    assert report["head_codes"]["nearest"]["mean"] > report["unit_codes"]["nearest"]["mean"]
    assert report["features"]["pairs"]["synonym_cosine"] > 0.9
    assert abs(report["identity"]["pairs"]["synonym_gap"]) < 0.1
    assert set(report["unit_codes"]["reconstruction"]) == {"cosine", "cosine_centred", "cosine_of_mean_feature"}
    assert report == heldout_report(head, features, surfaces, out, pairs, seed=1)


def test_report_without_held_out_units_is_empty(space):
    head, features, surfaces, pairs = space
    assert heldout_report(head, features, surfaces, np.zeros(60, dtype=bool), pairs, 1) == {"units": 0}
