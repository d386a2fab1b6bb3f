from __future__ import annotations

import torch

from lexivert.controller.observation import Observation


def some(known=None):
    return Observation.of(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[0.0, 5.0], [1.0, -1.0]]), known)


def test_both_parts_are_brought_to_unit_length_and_zero_stays_zero():
    observed = some()
    torch.testing.assert_close(observed.order, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    torch.testing.assert_close(observed.prefix, torch.tensor([[0.0, 1.0], [0.5**0.5, -(0.5**0.5)]]))
    assert observed.known is None
    assert len(observed) == 2


def test_rows_keep_what_is_known_of_them():
    observed = some(known=torch.tensor([[7, -1, -1], [-1, 8, -1]]))
    for rows in (slice(1, 2), torch.tensor([1]), torch.tensor([False, True])):
        one = observed[rows]
        assert len(one) == 1
        assert torch.equal(one.order, observed.order[1:])
        assert torch.equal(one.prefix, observed.prefix[1:])
        assert one.known.tolist() == [[-1, 8, -1]]
    assert some()[torch.tensor([0])].known is None


def test_the_order_parts_share_of_the_energy_is_kept():
    observed = some()
    assert observed.order_share.tolist() == [0.5, 0.0]
    assert observed[torch.tensor([1, 1])].order_share.tolist() == [0.0, 0.0]
    assert observed[slice(0, 1)].repeated(3).order_share.tolist() == [0.5] * 3
    unknown = Observation.of(torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 0.0]])).order_share
    assert unknown.isnan().all()  # both at unit length; no prefix


def test_one_vector_repeated():
    one = some(known=torch.tensor([[7, -1], [-1, 8]]))[slice(0, 1)]
    many = one.repeated(3)
    assert len(many) == 3
    assert torch.equal(many.order, one.order[[0, 0, 0]])
    assert torch.equal(many.prefix, one.prefix[[0, 0, 0]])
    assert many.known.tolist() == [[7, -1]] * 3
    assert some()[slice(0, 1)].repeated(2).known is None
