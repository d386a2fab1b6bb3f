from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lexivert.encoders.batching import Tokens, deduplicate, plan_batches


def test_batches_of_a_hand_worked_plan():
    lengths = np.array([3, 9, 1, 3, 20])
    # 20 exceeds the budget of 10 and runs alone; 9 leaves no room for another of 9; three of 3 fit.
    assert [batch.tolist() for batch in plan_batches(lengths, 10)] == [[4], [1], [0, 3, 2]]


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(1, 100))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget):
    batches = plan_batches(np.array(lengths, dtype=np.int64), budget)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    assert all(len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= budget for batch in batches)


def test_padding_of_hand_worked_texts():
    tokens = Tokens(np.array([5, 6, 7, 8, 9], dtype=np.int32), np.array([0, 1, 4, 5]), truncated=0)
    ids, mask = tokens.padded(np.array([1, 2]), pad_id=0)
    assert ids.tolist() == [[6, 7, 8], [9, 0, 0]]
    assert mask.tolist() == [[True, True, True], [True, False, False]]
    assert tokens.lengths.tolist() == [1, 3, 1]


def test_deduplicate_keeps_first_appearance_and_places():
    distinct, inverse = deduplicate(["b", "a", "b", ""])
    assert distinct == ["b", "a", ""]
    assert inverse.tolist() == [0, 1, 0, 2]
