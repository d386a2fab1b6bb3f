from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from lexivert.training import losses


def unit_rows(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


def test_contrastive_by_hand():
    anchors = torch.tensor([[1.0, 0.0]])
    negatives = torch.tensor([[0.6, 0.8], [0.0, 1.0]])
    own, others, once = torch.ones(1), anchors @ negatives.T, torch.ones(2)
    loss = losses.contrastive(own, others, torch.tensor([[False, False]]), once, 0.5)
    assert loss.item() == pytest.approx(math.log(math.exp(2) + math.exp(1.2) + 1) - 2, rel=1e-6)
    masked = losses.contrastive(own, others, torch.tensor([[True, False]]), once, 0.5)
    assert masked.item() == pytest.approx(math.log(math.exp(2) + 1) - 2, rel=1e-6)
    thrice = losses.contrastive(own, others, torch.tensor([[False, False]]), torch.tensor([3, 0]), 0.5)
    assert thrice.item() == pytest.approx(math.log(math.exp(2) + 3 * math.exp(1.2)) - 2, rel=1e-6)


def test_contrastive_with_everything_excluded_is_zero_and_has_a_gradient():
    anchors = unit_rows(3, 4).requires_grad_()
    own, others = anchors.square().sum(dim=1), anchors @ anchors.T
    loss = losses.contrastive(own, others, torch.ones(3, 3, dtype=torch.bool), torch.tensor([2, 1, 0]), 0.04)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert torch.isfinite(anchors.grad).all()


def test_contrastive_equals_loop_over_rows():
    anchors, positives, negatives = unit_rows(4, 8), unit_rows(4, 8, seed=1), unit_rows(6, 8, seed=2)
    excluded = torch.rand(4, 6, generator=torch.Generator().manual_seed(3)) < 0.4
    times = torch.tensor([1, 3, 0, 1, 2, 1])
    rows = []
    for row in range(4):
        others = [negatives[c] for c in range(6) for _ in range(int(times[c])) if not excluded[row, c]]
        scores = torch.stack([positives[row], *others]) @ anchors[row] / 0.1
        rows.append(-F.log_softmax(scores, dim=0)[0])
    loss = losses.contrastive((anchors * positives).sum(dim=1), anchors @ negatives.T, excluded, times, 0.1)
    torch.testing.assert_close(loss, torch.stack(rows).mean())


def test_jitter_keeps_length_and_is_tiny():
    codes = unit_rows(5, 64)
    moved = losses.jittered(codes, 1e-3)
    torch.testing.assert_close(moved.norm(dim=-1), torch.ones(5))
    cosines = (moved * codes).sum(-1)
    assert ((cosines < 1) & (cosines > 0.9999)).all()


def test_reconstruction_by_hand():
    squared, angular = losses.reconstruction(torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 0.0]]), 2.0)
    assert squared.item() == pytest.approx(2.0)
    assert angular.item() == pytest.approx(0.4)


def test_semantic_anchor_equals_loop_over_pairs():
    codes, features = torch.randn(5, 7), torch.randn(5, 3)
    pairs = [
        (F.cosine_similarity(codes[i], codes[j], dim=0) - F.cosine_similarity(features[i], features[j], dim=0)) ** 2
        for i in range(5)
        for j in range(5)
    ]
    torch.testing.assert_close(
        losses.semantic_anchor(losses.cosine_matrix(codes), features), torch.stack(pairs).mean()
    )


def test_semantic_anchor_moves_the_codes_only():
    codes, features = torch.randn(3, 4, requires_grad=True), torch.randn(3, 2, requires_grad=True)
    losses.semantic_anchor(losses.cosine_matrix(codes), features).backward()
    assert codes.grad is not None
    assert features.grad is None


def test_synonym_attraction_by_hand():
    codes = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    synonyms = torch.tensor([[0.6, 0.8], [1.0, 0.0]])
    assert losses.synonym_attraction(codes, synonyms, 0.95).item() == pytest.approx(0.35 / 2)


def test_synonym_attraction_without_synonyms_is_zero():
    assert losses.synonym_attraction(torch.empty(0, 4), torch.empty(0, 4), 0.95).item() == 0.0


def test_orthogonality_by_hand():
    assert losses.orthogonality(torch.eye(3)).item() == 0.0
    assert losses.orthogonality(torch.tensor([[1.0, 0.0], [3.0, 4.0]])).item() == pytest.approx(0.36)


def test_cosine_matrix_is_that_of_all_pairs():
    rows = torch.randn(20, 30)
    torch.testing.assert_close(losses.cosine_matrix(rows), F.cosine_similarity(rows[:, None], rows[None], dim=-1))


def largest(function, *tensors):
    """Numbers in the largest tensor that a function and its gradient make."""
    sizes = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
            result = operation(*args, **(kwargs or {}))
            sizes.extend(part.numel() for part in tree_leaves(result) if isinstance(part, torch.Tensor))
            return result

    with Watch():
        function(*tensors).backward()
    return max(sizes)


def test_cosines_of_all_pairs_need_no_more_memory_than_inputs_and_result():
    """At B = 512 and D = 2048 a (B, B, D) broadcast makes tensors of 2 GiB, the product one of 1 MiB."""
    codes, features = torch.randn(32, 64, requires_grad=True), torch.randn(32, 16)
    assert largest(lambda x: F.cosine_similarity(x[:, None], x[None], dim=-1).sum(), codes) == 32 * 32 * 64
    assert largest(lambda c, f: losses.semantic_anchor(losses.cosine_matrix(c), f), codes, features) == 32 * 64
