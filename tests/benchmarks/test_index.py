"""The figures of the index benchmark, on small vectors whose answers are known."""

from __future__ import annotations

import faiss
import numpy as np
import pytest


@pytest.fixture(scope="module")
def bench(load):
    return load("index")


@pytest.fixture(scope="module")
def vectors():
    rows = np.random.default_rng(0).standard_normal((400, 96), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_queries_stand_at_the_wanted_cosine_from_their_rows(bench, vectors):
    queries, rows = bench.queries_of(vectors, 300, 0.35)
    assert len(set(rows.tolist())) == 300
    cosines = (queries * vectors[rows]).sum(axis=1) / np.linalg.norm(queries, axis=1)
    assert cosines.mean() == pytest.approx(0.35, abs=0.02)
    assert np.linalg.norm(queries, axis=1) == pytest.approx(np.ones(300), abs=0.3)


def test_an_exact_index_recalls_all_and_a_coarse_one_less(bench, vectors, monkeypatch):
    monkeypatch.setattr(bench, "_QUERIES", 64)
    texts = [[5, 9, 300], [17, 17, 2, 399, 40]]
    report = bench.measure(vectors, ("Flat", "PQ4x4"), texts)
    exact = report["Flat"]
    assert exact["recall_at_10"] == 1.0
    assert exact["recall_at_1"] > 0.5
    assert exact["decoded_exactly"] == 1.0
    assert exact["megabytes"] == pytest.approx(400 * 96 * 4 / 1e6, rel=0.01)
    assert min(exact["milliseconds_alone"], exact["milliseconds_in_batch"], exact["build_seconds"]) > 0
    assert report["PQ4x4"]["recall_at_10"] < 0.5
    assert report["PQ4x4"]["megabytes"] < exact["megabytes"]


def test_a_text_whose_unit_the_index_lacks_is_not_decoded(bench, vectors):
    index = faiss.IndexFlatIP(96)
    index.add(vectors[:300])
    assert bench.decoded_exactly(index, vectors, [[5, 9], [5, 350]]) == 0.5


def test_backbone_features_are_centred_and_filled_up(bench, tmp_path):
    (tmp_path / "data").mkdir()
    features = np.random.default_rng(1).standard_normal((30, 8)).astype(np.float16) + np.float16(3.0)
    np.save(tmp_path / "data" / "unit_features.npy", features)
    rows = bench.feature_vectors(tmp_path, 70)
    assert rows.shape == (70, 8)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)
    centred = features.astype(np.float32) - features.astype(np.float32).mean(0)
    np.testing.assert_allclose(rows[:30], centred / np.linalg.norm(centred, axis=1, keepdims=True), atol=1e-5)
    assert not np.allclose(rows[30:60], rows[:30], atol=0.1)
