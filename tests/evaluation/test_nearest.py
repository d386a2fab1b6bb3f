from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.evaluation.nearest import nearest_others, search


def test_search_by_hand():
    rows = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 9.0]]).half()
    scores, found = search(torch.tensor([[2.0, 0.1], [0.1, 3.0], [0.7, 0.7]]), rows, 2)
    assert found.tolist() == [[0, 1], [2, 1], [1, 0]]
    assert scores[2].tolist() == pytest.approx([1.4 / 2**0.5, 1 / 2**0.5], abs=1e-3)


def test_search_leaves_out_one_row_a_query():
    rows = torch.eye(3)
    queries = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    assert search(queries, rows, 2, own=torch.tensor([0, 1]))[1].tolist() == [[1, 2], [0, 2]]


def test_no_queries_have_no_neighbours():
    scores, found = search(torch.empty(0, 4), torch.ones(3, 4), 2)
    assert scores.shape == found.shape == (0, 2)


def test_nearest_by_hand():
    vectors = torch.tensor([[2.0, 0.0], [3.0, 4.0], [0.0, 5.0], [-1.0, 0.0]])
    scores, found = nearest_others(vectors, torch.tensor([1, 3]), 3)
    assert found.tolist() == [[2, 0, 3], [2, 1, 0]]
    torch.testing.assert_close(scores, torch.tensor([[0.8, 0.6, -0.6], [0.0, -0.6, -1.0]]))


@pytest.mark.parametrize("block", [1, 4, 256])
def test_nearest_equals_loop_for_any_block(block):
    vectors = torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
    queries = torch.arange(0, 30, 2)
    scores, found = nearest_others(vectors, queries, 5, block)
    for row, query in enumerate(queries.tolist()):
        cosines = {o: float(F.cosine_similarity(vectors[query], vectors[o], dim=0)) for o in range(30) if o != query}
        expected = sorted(cosines, key=lambda other: -cosines[other])[:5]
        assert found[row].tolist() == expected
        assert scores[row].tolist() == pytest.approx([cosines[other] for other in expected], abs=1e-6)


def test_a_double_is_a_neighbour_but_nothing_is_its_own():
    vectors = torch.tensor([[1.0, 1.0], [2.0, 2.0], [1.0, 0.0]]).half()
    scores, found = nearest_others(vectors, torch.arange(3), 2)
    assert found[:2, 0].tolist() == [1, 0]
    assert scores[0, 0].item() == pytest.approx(1.0, abs=1e-3)
    assert all(query not in near for query, near in enumerate(found.tolist()))
