from __future__ import annotations

import math
from functools import partial

import pytest
import torch

from lexivert.training.partition import inner_products, log_partition


def drawn(units=50):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator).requires_grad_() for shape in ((7, 5), (units, 5), (units,))]


def found_in_parts(queries, vectors, bias, dtype=torch.float32, part=4096):
    return log_partition(partial(inner_products, dtype=dtype), (queries,), (vectors, bias), part)


@pytest.mark.parametrize("part", [1, 16, 50, 4096])
def test_value_and_gradients_are_those_of_all_logits_at_once(part):
    weights = torch.linspace(-1.0, 2.0, 7)
    queries, vectors, bias = drawn()
    naive = torch.logsumexp(queries @ vectors.T + bias, dim=1)
    (naive * weights).sum().backward()
    expected = [tensor.grad.clone() for tensor in (queries, vectors, bias)]
    again = drawn()
    found = found_in_parts(*again, part=part)
    (found * weights).sum().backward()
    torch.testing.assert_close(found, naive)
    for own, right in zip(again, expected, strict=True):
        torch.testing.assert_close(own.grad, right, atol=1e-6, rtol=1e-4)


def test_no_more_logits_than_a_part_are_asked_for_at_once():
    queries, vectors, bias = drawn()
    sizes = []

    def logits(queries, vectors, bias):
        sizes.append(len(vectors))
        return inner_products(queries, vectors, bias, torch.float32)

    log_partition(logits, (queries,), (vectors, bias), part=16).sum().backward()
    assert sorted(sizes) == sorted([16, 16, 16, 2] * 2)  # once for the value, once for the gradient


def test_large_logits_do_not_overflow():
    queries, vectors, bias = torch.ones(2, 1), torch.tensor([[300.0], [300.0]]), torch.zeros(2)
    torch.testing.assert_close(found_in_parts(queries, vectors, bias), torch.full((2,), 300.0 + math.log(2.0)))


def test_units_that_are_ruled_out_count_nothing():
    queries, vectors, bias = drawn()
    with torch.no_grad():
        bias[16:] = -torch.inf
    found_in_parts(queries, vectors, bias, part=16).sum().backward()
    assert vectors.grad[:16].abs().min() > 0
    torch.testing.assert_close(
        found_in_parts(queries, vectors, bias, part=16), (queries @ vectors[:16].T + bias[:16]).logsumexp(dim=1)
    )


def test_half_precision_is_near_and_not_the_same():
    exact, rough = drawn(), drawn()
    found_in_parts(*exact, part=16).sum().backward()
    found = found_in_parts(*rough, torch.bfloat16, part=16)
    found.sum().backward()
    torch.testing.assert_close(found, found_in_parts(*exact, part=16), atol=0.02, rtol=0)
    assert not torch.equal(found, found_in_parts(*exact, part=16))
    for a, b in zip(rough, exact, strict=True):
        assert torch.nn.functional.cosine_similarity(a.grad.flatten(), b.grad.flatten(), dim=0) > 0.999
