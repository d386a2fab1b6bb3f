from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from lexivert.data.relations import Relations
from lexivert.training.negatives import CodeQueue, hardest, same_unit


def test_same_unit_knows_duplicates():
    duplicates = torch.tensor([0, 1, 1, 3])
    assert same_unit(torch.tensor([0, 2]), torch.tensor([0, 1, 2, 3]), duplicates).tolist() == [
        [True, False, False, False],
        [False, True, True, False],
    ]


def test_hardest_by_hand():
    similarity = torch.tensor([[1.0, 0.9, 0.2, 0.5], [0.9, 1.0, 0.3, 0.1]])
    excluded = torch.tensor([[True, True, False, False], [False, True, False, False]])
    assert hardest(similarity, excluded, 2).tolist() == [[3, 2], [0, 2]]
    assert hardest(similarity, excluded, 9).shape == (2, 4)


def test_a_synonym_is_no_hard_negative():
    """The nearest of the first two rows are each other, synonyms both: the third is taken in their place."""
    codes = F.normalize(torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.1, 0.0], [0.5, 0.0, 1.0], [0.0, 1.0, 0.0]]), dim=-1)
    ids = torch.arange(4)
    synonyms = Relations.from_pairs(np.array([0, 1]), np.array([1, 0]), 4)
    cosines, itself = codes @ codes.T, same_unit(ids, ids, ids)
    assert hardest(cosines, itself, 1)[:2, 0].tolist() == [1, 0]
    assert hardest(cosines, itself | synonyms.among(ids, ids), 1)[:2, 0].tolist() == [2, 2]


def test_queue_is_first_in_first_out():
    queue = CodeQueue(5, 1)
    assert queue.entries()[0].shape == (0, 1)
    for start in (0, 3):
        ids = torch.arange(start, start + 3)
        queue.push(ids[:, None].float().requires_grad_(), ids)
    codes, units = queue.entries()
    assert units.tolist() == [5, 1, 2, 3, 4]
    assert codes[:, 0].tolist() == units.tolist()
    assert not codes.requires_grad


def test_queue_smaller_than_a_batch_keeps_the_last():
    queue = CodeQueue(2, 1)
    queue.push(torch.arange(3.0)[:, None], torch.arange(3))
    assert sorted(queue.entries()[1].tolist()) == [1, 2]
    empty = CodeQueue(0, 1)
    empty.push(torch.ones(2, 1), torch.arange(2))
    assert empty.entries()[0].shape == (0, 1)


def test_queue_state_goes_round():
    queue, other = CodeQueue(4, 2), CodeQueue(4, 2)
    queue.push(torch.randn(3, 2), torch.arange(3))
    other.load_state_dict(queue.state_dict())
    for each in (queue, other):
        each.push(torch.ones(3, 2), torch.arange(3) + 7)
    assert torch.equal(queue.codes, other.codes)
    assert queue.units.tolist() == other.units.tolist() == [8, 9, 2, 7]
