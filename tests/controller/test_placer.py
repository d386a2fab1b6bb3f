from __future__ import annotations

import pytest
import torch

from lexivert.controller.placer import Placer

NEVER_SURE = 1.1


def placer(probability=0.95, share=0.1, deviations=1.5, among_frequent=0.99):
    return Placer(probability, among_frequent, share, deviations)


def test_the_easiest_are_a_share_and_at_least_one():
    rows = torch.tensor([0, 0, 0, 0, 2, 2, 5])
    probability = torch.tensor([0.1, 0.9, 0.3, 0.8, 0.2, 0.2, 0.0])
    nobody = torch.zeros(7, dtype=torch.bool)
    for share, expected in (
        (0.1, [False, True, False, False, True, False, True]),
        (0.5, [False, True, False, True, True, False, True]),
        (1.0, [True] * 7),
    ):
        assert placer(NEVER_SURE, share).commits(rows, probability, nobody).tolist() == expected


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [
        # Text 0 has a sure pair, so that its next one waits for the residual; texts 1 and 3 commit their easiest.
        ([], [True, False, False, True, False, True]),
        # Text 1 waits for a wider search, and commits nothing; a pair that waits must be surer.
        ([0, 2], [False, False, False, False, False, True]),
    ],
)
def test_sure_pairs_are_committed_and_else_the_easiest_of_a_text_that_does_not_wait(waiting, expected):
    rows = torch.tensor([0, 0, 1, 1, 1, 3])
    probability = torch.tensor([0.96, 0.9, 0.3, 0.5, 0.2, 0.1])
    waits = torch.zeros(6, dtype=torch.bool)
    waits[waiting] = True
    assert placer().commits(rows, probability, waits).tolist() == expected


def test_a_commit_is_doubted_by_deviations():
    """Noise of variance .04 has deviation .2: 1.5 of it below 1 is .7."""
    strength = torch.tensor([1.2, 0.71, 0.69, -0.1])
    assert placer().doubts(strength, torch.full((4,), 0.04)).tolist() == [False, False, True, True]
