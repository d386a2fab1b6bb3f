from __future__ import annotations

import pytest
import torch

from lexivert.search.top_k import top_k_columns


@pytest.mark.parametrize("dtype", [torch.float32, torch.int32])
@pytest.mark.parametrize(("width", "count"), [(5, 5), (40, 3), (1000, 7), (1007, 31), (4096, 1), (4099, 128)])
def test_columns_are_those_of_topk(dtype, width, count):
    values = (1000 * torch.randn(20, width, generator=torch.Generator().manual_seed(width))).to(dtype)
    found = top_k_columns(values, count)
    assert found.shape == (20, count)
    assert all(len(set(row)) == count for row in found.tolist())
    ordered = values.gather(1, found).sort(dim=1, descending=True).values
    assert torch.equal(ordered, values.topk(count, dim=1).values)


def test_largest_that_share_a_stripe_or_a_column():
    values = torch.zeros(2, 160)
    values[0, :3] = torch.tensor([3.0, 2.0, 1.0])  # neighbours
    values[1, [7, 17, 27]] = torch.tensor([3.0, 2.0, 1.0])  # one column of ten
    assert [sorted(row) for row in top_k_columns(values, 3).tolist()] == [[0, 1, 2], [7, 17, 27]]


def test_no_rows():
    assert top_k_columns(torch.empty(0, 500), 3).shape == (0, 3)
