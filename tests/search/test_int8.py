from __future__ import annotations

import pytest
import torch

from lexivert.search.int8 import Int8Vectors


def vectors(count, width, seed=0):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("count", "width"), [(5, 3), (9000, 24)])
def test_products_are_those_of_rounded_numbers(count, width):
    """Against rounding by hand: one step for all vectors, one for each query."""
    codes, queries = vectors(count, width), vectors(7, width, 1)
    step = codes.abs().max() / 127
    own = queries.abs().amax(dim=1, keepdim=True) / 127
    expected = (queries / own).round() @ (codes / step).round().T
    products, factor = Int8Vectors(codes).products(queries)
    assert products.dtype == torch.int32
    assert torch.equal(products.double(), expected.double())
    torch.testing.assert_close(factor, own * step)


def test_products_are_nearly_inner_products():
    codes, queries = vectors(2000, 256), vectors(20, 256, 1)
    products, factor = Int8Vectors(codes).products(queries)
    error = products * factor - queries @ codes.T
    assert error.abs().mean() < 0.02 * (queries @ codes.T).abs().mean()


def test_the_first_vectors_and_leading_dimensions_alone():
    codes, queries = vectors(50, 32), vectors(4, 32, 1)
    small = Int8Vectors(codes)
    products, _ = small.products(queries[:, :8], 20)
    assert torch.equal(products, small.products(queries[:, :8])[0][:, :20])
    assert products.shape == (4, 20)


def test_large_products_do_not_overflow_or_saturate():
    ones = torch.ones(3, 4096)
    products, _ = Int8Vectors(ones).products(torch.cat((ones, -ones)))
    assert products[:3].unique().tolist() == [127 * 127 * 4096]
    assert products[3:].unique().tolist() == [-127 * 127 * 4096]


def test_zeros_and_no_queries():
    small = Int8Vectors(torch.zeros(4, 8))
    assert not (small.products(vectors(2, 8))[0]).any()
    assert small.products(torch.empty(0, 8))[0].shape == (0, 4)


def test_on_an_accelerator_they_are_half_floats():
    """The meta device computes nothing, but it refuses what lies elsewhere."""
    products, factor = Int8Vectors(vectors(5, 8).to("meta")).products(vectors(2, 8).to("meta"), 3)
    assert (products.device.type, products.shape, products.dtype) == ("meta", (2, 3), torch.float32)
    assert factor.shape == (2, 1)
