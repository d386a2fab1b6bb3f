from __future__ import annotations

import pytest
import torch

from lexivert.search.int8 import Int8Vectors
from lexivert.search.output_layer import OutputLayer
from lexivert.text.lexicon import NEVER


def layer(units=50, width=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return OutputLayer(torch.randn(units, width, generator=generator), torch.randn(units, generator=generator))


QUERIES = torch.randn(4, 6, generator=torch.Generator().manual_seed(9))


def test_logits_are_products_plus_biases():
    own = OutputLayer(torch.tensor([[1.0, 2.0], [0.0, -1.0]]), torch.tensor([0.5, 7.0]))
    assert own.logits(torch.tensor([3.0, 1.0])).tolist() == [5.5, 6.0]
    assert len(own) == 2


def test_some_logits_are_those_of_all():
    own = layer()
    units = torch.randint(0, 50, (4, 7), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(own.some_logits(QUERIES, units), own.logits(QUERIES).gather(1, units))
    units[1, 2] = -1
    assert own.some_logits(QUERIES, units)[1, 2] == pytest.approx(own.logits(QUERIES)[1, 0].item(), rel=1e-5)


def test_rounded_logits_have_products_in_eight_bits_and_biases_in_full():
    own = layer()
    own.bias[3] = 1e7
    products, factor = Int8Vectors(own.weight).products(QUERIES, 20)
    expected = products * factor + own.bias[:20]
    for _ in range(2):  # rounded once, and used again
        torch.testing.assert_close(own.rounded_logits(QUERIES, 20), expected)
    assert (own.rounded_logits(QUERIES, 50)[:, 3] > 9e6).all()


def test_a_layer_of_biases_alone():
    own = OutputLayer(torch.empty(50, 0), torch.arange(50.0))
    rounded = own.rounded_logits(torch.empty(3, 0), 20)
    assert torch.equal(rounded, torch.arange(20.0).expand(3, -1))
    rounded += 1  # a copy
    assert own.bias[1] == 1.0
    assert torch.equal(own.logits(torch.empty(3, 0)), torch.arange(50.0).expand(3, -1))


def test_ruled_out_units_and_no_others():
    own = layer()
    before = own.rounded_logits(QUERIES, 50)
    without = own.without([4, 9])
    assert without.bias[[4, 9]].tolist() == [NEVER, NEVER]
    assert without.weight is own.weight
    after = without.rounded_logits(QUERIES, 50)
    others = [unit for unit in range(50) if unit not in {4, 9}]
    assert torch.equal(after[:, others], before[:, others])
    assert (after[:, [4, 9]] < NEVER / 2).all()
    assert torch.equal(own.rounded_logits(QUERIES, 50), before)


def test_moved_to_a_device():
    own = layer()
    assert own.to("cpu") is own
    moved = own.to("meta")
    assert moved.logits(QUERIES.to("meta")).device.type == "meta"
    assert moved.rounded_logits(QUERIES.to("meta"), 20).shape == (4, 20)
