from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.controller.meaning import MeaningDecoder
from lexivert.controller.prior import Prior
from lexivert.lexicon.units import END


class Told(Prior):
    """Says what stands where by the position alone, and that texts have three units."""

    def queries(self, context):
        n = context.shares.shape[1]
        wanted = torch.tensor([7, 8, 9])[torch.arange(n).clamp(max=2)]
        return 5.0 * F.one_hot(wanted, 60).float().expand(len(context.length), -1, -1)

    def log_length(self, context, positions):
        return F.one_hot(torch.full((len(context.length),), 3), positions).float() * 9.0


def told():
    return MeaningDecoder(Told(torch.eye(60)), 12)


def test_the_likeliest_length_and_units_are_written():
    assert told().decode(torch.randn(2, 4), None, 0.0, 0) == [[7, 8, 9]] * 2


def test_known_units_are_kept():
    fixed = torch.full((1, 12), -1)
    fixed[0, :2] = torch.tensor([20, 21])
    assert told().decode(torch.randn(1, 4), fixed, 0.0, 0) == [[20, 21, 9]]
    fixed[0, :5] = torch.tensor([20, 21, 22, 23, 24])
    assert told().decode(torch.randn(1, 4), fixed, 0.0, 0)[0][:5] == [20, 21, 22, 23, 24]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_have_neither_end_nor_what_is_banned(make_world, temperature):
    world = make_world(200, 32, positions=12)
    prior = world.proposer.prior.without([1, 2, 3])
    semantic = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    texts = MeaningDecoder(prior, 12).decode(semantic, None, temperature, 0)
    assert all(1 <= len(text) < 12 for text in texts)
    assert not {END, 1, 2, 3} & {unit for text in texts for unit in text}


def test_a_draw_is_the_same_for_the_same_seed(make_world):
    world = make_world(200, 32, positions=12)
    semantic = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    decoder = MeaningDecoder(world.proposer.prior, 12)
    one, same, other = (decoder.decode(semantic, None, 1.0, seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_rare_units_come_once():
    """One unit is likelier than all others at every position, but not one of the 48 most frequent."""

    class Same(Told):
        def queries(self, context):
            return 5.0 * F.one_hot(torch.full(context.shares.shape[:2], 55), 60).float()

    table = torch.eye(60)
    table[:48, -1] = 1.0
    (text,) = MeaningDecoder(Same(table), 12).decode(torch.randn(1, 4), None, 0.0, 0)
    assert len(text) == 3
    assert text.count(55) == 1
