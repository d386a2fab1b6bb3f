from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.generation import mask_predict
from lexivert.generation.mask_predict import HillClimbing, MaskPredict, _draws
from lexivert.priors.base import Prior
from lexivert.text.lexicon import EOS


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
    return MaskPredict(Told(torch.eye(60)), 12)


def test_the_likeliest_length_and_units_are_written():
    assert told().decode(torch.randn(2, 4), free(2), 0.0, _draws(0, 2)) == [[7, 8, 9]] * 2


def test_a_known_length_is_kept():
    decoder = told()
    assert decoder.decode(torch.randn(2, 4), free(2), 0.0, _draws(0, 2), torch.tensor([1, 2])) == [[7], [7, 8]]


def test_known_units_are_kept():
    fixed = free(1)
    fixed[0, :2] = torch.tensor([20, 21])
    assert told().decode(torch.randn(1, 4), fixed, 0.0, _draws(0, 1)) == [[20, 21, 9]]
    fixed[0, :5] = torch.tensor([20, 21, 22, 23, 24])
    assert told().decode(torch.randn(1, 4), fixed, 0.0, _draws(0, 1))[0][:5] == [20, 21, 22, 23, 24]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_have_neither_end_nor_what_is_banned(make_world, temperature):
    world = make_world(200, 32, positions=12)
    prior = world.proposer.prior.without([1, 2, 3])
    semantic = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    texts = MaskPredict(prior, 12).decode(semantic, free(4), temperature, _draws(0, 4))
    assert all(1 <= len(text) < 12 for text in texts)
    assert not {EOS, 1, 2, 3} & {unit for text in texts for unit in text}


def test_a_draw_is_the_same_for_the_same_seed(make_world):
    world = make_world(200, 32, positions=12)
    semantic = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    decoder = MaskPredict(world.proposer.prior, 12)
    one, same, other = (decoder.decode(semantic, free(4), 1.0, _draws(seed, 4)) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    for row in range(4):  # whatever is written beside it
        (alone,) = decoder.decode(semantic[row : row + 1], free(1), 1.0, _draws(1, 1))
        assert alone == one[row]


def test_more_known_units_than_a_drafted_text_ever_has():
    """Lengths of more than 64 units are not drafted, but a known beginning is never cut."""
    known = torch.full((1, 97), -1)
    known[0, :70] = 20
    for temperature in (0.0, 1.0):
        (text,) = MaskPredict(Told(torch.eye(60)), 97).decode(torch.randn(1, 4), known, temperature, _draws(0, 1))
        assert text == [20] * 70


def test_rare_units_come_once():
    """One unit is likelier than all others at every position, but not one of the 48 most frequent."""

    class Same(Told):
        def queries(self, context):
            return 5.0 * F.one_hot(torch.full(context.shares.shape[:2], 55), 60).float()

    table = torch.eye(60)
    table[:48, -1] = 1.0
    (text,) = MaskPredict(Same(table), 12).decode(torch.randn(1, 4), free(1), 0.0, _draws(0, 1))
    assert len(text) == 3
    assert text.count(55) == 1
    known = free(1)
    known[0, 1] = 55
    (text,) = MaskPredict(Same(table), 12).decode(torch.randn(1, 4), known, 0.0, _draws(0, 1))
    assert (len(text), text[1], text.count(55)) == (3, 55, 1)


class HuggingFaceEncoder:
    """Embeds a text of unit ids as how many of them leave 0, 1, 2 and 3 when divided by four."""

    def encode(self, texts):
        rests = [np.array([int(unit) % 4 for unit in text.split()]) for text in texts]
        return np.stack([np.bincount(rest, minlength=4).astype(np.float32) for rest in rests])


def reader(prior, positions=12):
    segmenter = SimpleNamespace(join=lambda units: " ".join(map(str, units)))
    config = SimpleNamespace(code=SimpleNamespace(max_units=positions - 1))
    return HillClimbing(prior, SimpleNamespace(config=config, segmenter=segmenter, backbone=HuggingFaceEncoder()))


class Any(Told):
    """Says that texts have eleven units, any of sixty."""

    def queries(self, context):
        return torch.zeros(*context.shares.shape[:2], 60)

    def log_length(self, context, positions):
        return 9.0 * F.one_hot(torch.full((len(context.length),), 11), positions).float()


WANTED = torch.eye(4)[:2]
"""Units that four divides, and units that leave 1."""


def nearness(texts):
    return F.cosine_similarity(
        torch.from_numpy(HuggingFaceEncoder().encode([" ".join(map(str, t)) for t in texts])), WANTED
    )


def test_revisions_come_nearer_and_keep_what_is_known(monkeypatch):
    """With the drafts alone, then with more and more rounds: never further away, in the end much nearer."""
    monkeypatch.setattr(mask_predict, "_REPEATABLE", 0)  # eleven units of sixty, each once
    fixed = free(2)
    fixed[:, 0] = 31  # leaves 3
    near = []
    for rounds in (0, 1, 4, 12):
        monkeypatch.setattr(mask_predict, "_ROUNDS", rounds)
        texts = reader(Any(torch.eye(60))).read(WANTED, fixed)
        assert [(len(text), text[0]) for text in texts] == [(11, 31), (11, 31)]
        near.append(nearness(texts))
    for before, after in itertools.pairwise(near):
        assert (after >= before).all()
    assert (near[-1] > near[0] + 0.05).all()


def test_a_revision_writes_a_few_units_anew():
    """Of eleven units of which two are known, 15 % of nine and at least one; the same again for the same seed."""
    fixed = free(2)
    fixed[:, :2] = 31
    texts = [[31, 31, *range(2, 20, 2)]] * 2
    made = reader(Any(torch.eye(60)))
    counts = []
    for seed in range(200):
        revised = made._revised(WANTED, texts, fixed, seed)
        assert [text[:2] for text in revised] == [[31, 31]] * 2
        assert [len(text) for text in revised] == [11, 11]
        changed = [
            sum(a != b for a, b in zip(old, new, strict=True)) for old, new in zip(texts, revised, strict=True)
        ]
        assert changed[0] == changed[1]  # the same draws; prefixes that say the same
        counts.append(changed[0])
    assert counts.count(0) < 10  # an opened place may be given the unit that stood there
    assert 1.2 < np.mean(counts) < 1.8
    assert made._revised(WANTED, texts, fixed, 7) == made._revised(WANTED, texts, fixed, 7)
    assert made._revised(WANTED, [[31, 31]] * 2, fixed, 0) == [[31, 31]] * 2


def test_the_nearest_of_the_texts_is_kept_and_of_equals_the_old_one():
    first, second = [[4, 5], [5, 6]], [[4, 8], [9, 7]]
    made = reader(told().prior)
    texts, near = made._nearer(WANTED, [first, second], [[9], [8]], torch.full((2,), -1.0))
    assert texts == [[4, 8], [5, 6]]
    assert near.tolist() == pytest.approx([1.0, 0.5**0.5])
    again, same = made._nearer(WANTED, [[[8, 8], [9, 6]]], texts, near)
    assert (again, same.tolist()) == (texts, near.tolist())
