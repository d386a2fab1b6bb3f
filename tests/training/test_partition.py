from __future__ import annotations

import math

import pytest
import torch

from lexivert.training.partition import log_partition


def drawn(units=50):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator).requires_grad_() for shape in ((7, 5), (units, 5), (units,))]


@pytest.mark.parametrize("part", [1, 16, 50, 4096])
def test_value_and_gradients_are_those_of_all_logits_at_once(part):
    weights = torch.linspace(-1.0, 2.0, 7)
    queries, vectors, bias = drawn()
    naive = torch.logsumexp(queries @ vectors.T + bias, dim=1)
    (naive * weights).sum().backward()
    expected = [tensor.grad.clone() for tensor in (queries, vectors, bias)]
    again = drawn()
    found = log_partition(*again, part=part)
    (found * weights).sum().backward()
    torch.testing.assert_close(found, naive)
    for own, right in zip(again, expected, strict=True):
        torch.testing.assert_close(own.grad, right, atol=1e-6, rtol=1e-4)


def test_large_logits_do_not_overflow():
    queries, vectors, bias = torch.ones(2, 1), torch.tensor([[300.0], [300.0]]), torch.zeros(2)
    torch.testing.assert_close(log_partition(queries, vectors, bias), torch.full((2,), 300.0 + math.log(2.0)))


def test_half_precision_is_near_and_not_the_same():
    exact, rough = drawn(), drawn()
    log_partition(*exact, part=16).sum().backward()
    found = log_partition(*rough, torch.bfloat16, part=16)
    found.sum().backward()
    torch.testing.assert_close(found, log_partition(*exact, part=16), atol=0.02, rtol=0)
    assert not torch.equal(found, log_partition(*exact, part=16))
    for a, b in zip(rough, exact, strict=True):
        assert torch.nn.functional.cosine_similarity(a.grad.flatten(), b.grad.flatten(), dim=0) > 0.999
