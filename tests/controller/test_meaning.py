from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.controller import meaning
from lexivert.controller.meaning import MeaningDecoder, MeaningReader
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


def free(count):
    """Nothing is known."""
    return torch.full((count, 12), -1)


def told():
    return MeaningDecoder(Told(torch.eye(60)), 12)


def test_the_likeliest_length_and_units_are_written():
    assert told().decode(torch.randn(2, 4), free(2), 0.0, 0) == [[7, 8, 9]] * 2


def test_a_known_length_is_kept():
    decoder = told()
    assert decoder.decode(torch.randn(2, 4), free(2), 0.0, 0, torch.tensor([1, 2])) == [[7], [7, 8]]


def test_known_units_are_kept():
    fixed = free(1)
    fixed[0, :2] = torch.tensor([20, 21])
    assert told().decode(torch.randn(1, 4), fixed, 0.0, 0) == [[20, 21, 9]]
    fixed[0, :5] = torch.tensor([20, 21, 22, 23, 24])
    assert told().decode(torch.randn(1, 4), fixed, 0.0, 0)[0][:5] == [20, 21, 22, 23, 24]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_have_neither_end_nor_what_is_banned(make_world, temperature):
    world = make_world(200, 32, positions=12)
    prior = world.proposer.prior.without([1, 2, 3])
    semantic = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    texts = MeaningDecoder(prior, 12).decode(semantic, free(4), temperature, 0)
    assert all(1 <= len(text) < 12 for text in texts)
    assert not {END, 1, 2, 3} & {unit for text in texts for unit in text}


def test_a_draw_is_the_same_for_the_same_seed(make_world):
    world = make_world(200, 32, positions=12)
    semantic = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    decoder = MeaningDecoder(world.proposer.prior, 12)
    one, same, other = (decoder.decode(semantic, free(4), 1.0, seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_rare_units_come_once():
    """One unit is likelier than all others at every position, but not one of the 48 most frequent."""

    class Same(Told):
        def queries(self, context):
            return 5.0 * F.one_hot(torch.full(context.shares.shape[:2], 55), 60).float()

    table = torch.eye(60)
    table[:48, -1] = 1.0
    (text,) = MeaningDecoder(Same(table), 12).decode(torch.randn(1, 4), free(1), 0.0, 0)
    assert len(text) == 3
    assert text.count(55) == 1
    known = free(1)
    known[0, 1] = 55
    (text,) = MeaningDecoder(Same(table), 12).decode(torch.randn(1, 4), known, 0.0, 0)
    assert (len(text), text[1], text.count(55)) == (3, 55, 1)


class Backbone:
    """Embeds a text of unit ids as their share of even ones: what comes nearest is known beforehand."""

    def encode(self, texts):
        even = [np.mean([int(unit) % 2 == 0 for unit in text.split()]) for text in texts]
        return np.stack([np.array([share, 1.0 - share, 0.0, 0.0], dtype=np.float32) for share in even])


def reader(prior, positions=12):
    segmenter = SimpleNamespace(join=lambda units: " ".join(map(str, units)))
    layout = SimpleNamespace(code=SimpleNamespace(max_units=positions - 1))
    return MeaningReader(prior, SimpleNamespace(layout=layout, segmenter=segmenter, backbone=Backbone()))


class Even(Told):
    """Says that texts have eleven units, any of sixty."""

    def queries(self, context):
        return torch.zeros(*context.shares.shape[:2], 60)

    def log_length(self, context, positions):
        return 9.0 * F.one_hot(torch.full((len(context.length),), 11), positions).float()


WANTED = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
"""Even units alone; odd ones alone."""


def nearness(texts):
    return F.cosine_similarity(torch.from_numpy(Backbone().encode([" ".join(map(str, t)) for t in texts])), WANTED)


def test_revisions_come_nearer_and_keep_what_is_known(monkeypatch):
    """With the drafts alone, then with more and more rounds: never further away, in the end much nearer."""
    fixed = free(2)
    fixed[:, 0] = 31  # odd
    near = []
    for rounds in (0, 1, 4, 12):
        monkeypatch.setattr(meaning, "_ROUNDS", rounds)
        texts = reader(Even(torch.eye(60))).read(WANTED, fixed)
        assert [(len(text), text[0]) for text in texts] == [(11, 31), (11, 31)]
        near.append(nearness(texts))
    for before, after in itertools.pairwise(near):
        assert (after >= before).all()
    assert near[-1].sum() > near[0].sum() + 0.05
    assert near[-1].min() > 0.95


def test_the_nearest_of_the_texts_is_kept_and_of_equals_the_first():
    first, second = [[2, 3], [4, 5]], [[2, 2], [7, 6]]
    assert reader(told().prior)._nearest(WANTED, [first, second]) == [[2, 2], [4, 5]]
