from __future__ import annotations

import math

import pytest
import torch

from lexivert.training.partition import log_partition


def drawn(units=50):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator).requires_grad_() for shape in ((7, 5), (units, 5), (units,))]


def found_in_parts(queries, vectors, bias, dtype=torch.float32, part=4096):
    return log_partition(queries, vectors, bias, dtype, part=part)


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


@pytest.mark.parametrize("part", [1, 16, 4096])
def test_units_that_a_query_leaves_out(part):
    queries, vectors, bias = drawn()
    left_out = torch.tensor([[-1, -1], [0, 49], [3, 3], [15, 16], [-1, 20], [7, -1], [1, 2]])
    logits = queries @ vectors.T + bias
    for query, units in enumerate(left_out):
        logits = logits.index_put((torch.tensor(query), units[units >= 0]), torch.tensor(-torch.inf))
    naive = logits.logsumexp(dim=1)
    naive.square().sum().backward()
    again = drawn()
    found = log_partition(*again, torch.float32, left_out, part)
    found.square().sum().backward()
    torch.testing.assert_close(found, naive)
    for own, right in zip(again, (queries, vectors, bias), strict=True):
        torch.testing.assert_close(own.grad, right.grad, atol=1e-5, rtol=1e-4)


def test_one_unit_for_each_query_may_be_left_out():
    queries, vectors, bias = drawn()
    units = torch.tensor([3, -1, 49, 0, 0, 16, 17])
    one = log_partition(queries, vectors, bias, torch.float32, units)
    assert torch.equal(one, log_partition(queries, vectors, bias, torch.float32, units[:, None]))
    assert one[0] < log_partition(queries, vectors, bias, torch.float32)[0]


def test_vectors_that_are_given_have_no_gradient():
    queries, vectors, bias = drawn()
    vectors = vectors.detach()
    log_partition(queries, vectors, bias, torch.float32, part=16).sum().backward()
    naive_queries, naive_vectors, naive_bias = drawn()
    torch.logsumexp(naive_queries @ naive_vectors.T + naive_bias, dim=1).sum().backward()
    assert vectors.grad is None
    torch.testing.assert_close(queries.grad, naive_queries.grad, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(bias.grad, naive_bias.grad, atol=1e-6, rtol=1e-4)


def test_biases_are_not_rounded_to_the_format_that_is_multiplied_in():
    bias = torch.tensor([-9.906])
    assert abs(float(bias.bfloat16().float() - bias)) > 0.03
    queries = torch.randn(4096, 4, generator=torch.Generator().manual_seed(0)).bfloat16().float()
    found = log_partition(queries, torch.ones(1, 4), bias, torch.bfloat16)
    wrong = found - (queries.sum(dim=1) + bias)  # products are rounded, up as often as down
    assert abs(float(wrong.mean())) < 0.003


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
