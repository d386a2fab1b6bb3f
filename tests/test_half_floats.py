"""Parts of a table of float16 rows, by a table longer than one part."""

import torch

from lexivert.half_floats import float_parts, squared_lengths

ROWS = torch.randn(8192 + 5, 3, generator=torch.Generator().manual_seed(0)).half()


def test_parts_are_all_rows_once_in_float32():
    places, parts = zip(*float_parts(ROWS, 8192), strict=True)
    assert [(part.start, part.stop) for part in places] == [(0, 8192), (8192, 8197)]
    torch.testing.assert_close(torch.cat(parts), ROWS.float(), rtol=0.0, atol=0.0)
    assert torch.equal(torch.cat([part for _, part in float_parts(ROWS)]), ROWS.float())


def test_parts_may_be_changed_and_the_rows_stay():
    rows = ROWS[:4].float()
    for _, part in float_parts(rows):
        part.zero_()
    assert torch.equal(rows, ROWS[:4].float())


def test_squared_lengths_of_every_row_and_of_none():
    torch.testing.assert_close(squared_lengths(ROWS), ROWS.float().pow(2).sum(dim=1))
    assert squared_lengths(torch.tensor([[3.0, 4.0]]).half()).tolist() == [25.0]
    assert squared_lengths(ROWS[:0]).shape == (0,)
