from __future__ import annotations

import torch
import torch.nn.functional as F

from generation.conditional_cases import conditional, embeddings
from lexivert.generation import revision
from lexivert.generation.revision import Edit
from lexivert.generation.token_proposals import Proposer

TOKENS = [10, 11, 12, 13, 14, 15]


def test_dropped_spans_by_hand():
    assert revision.dropped_spans([1, 2, 3], 0) == [[2, 3], [1, 3], [1, 2], [3], [1]]
    assert revision.dropped_spans([1, 2, 3, 4], 2) == [[1, 2, 4], [1, 2, 3], [1, 2]]
    assert revision.dropped_spans([1], 0) == []


def test_edits_keep_what_is_known_and_leave_out_at_most_three_tokens():
    draws = torch.Generator().manual_seed(0)
    edits = revision.draw_edits(4, TOKENS, 2, 500, draws)
    left_out = set()
    for edit in edits:
        assert edit.row == 4
        assert TOKENS[: len(edit.kept)] == edit.kept
        assert edit.kept[:2] == TOKENS[:2]
        assert TOKENS[len(TOKENS) - len(edit.rest) :] == edit.rest
        left_out.add(len(TOKENS) - len(edit.kept) - len(edit.rest))
    assert left_out == {0, 1, 2, 3}
    assert {edit.added for edit in edits} == {1, 2, 3}
    assert {len(edit.kept) for edit in edits} == {2, 3, 4, 5, 6}
    assert revision.draw_edits(4, TOKENS, 2, 500, torch.Generator().manual_seed(0)) == edits


def test_cuts_keep_a_beginning():
    cuts = revision.draw_cuts(1, TOKENS, 2, 200, torch.Generator().manual_seed(0))
    assert {(len(cut.kept), cut.added, len(cut.rest)) for cut in cuts} == {(n, 0, 0) for n in (2, 3, 4, 5)}
    assert revision.draw_cuts(1, TOKENS[:2], 2, 1, torch.Generator().manual_seed(0))[0].kept == TOKENS[:2]


def test_a_span_is_put_elsewhere_and_what_is_known_stays():
    draws = torch.Generator().manual_seed(0)
    found = {tuple(revision.moved_span(TOKENS, 2, draws)) for _ in range(400)}
    assert all(sorted(text) == TOKENS and text[:2] == (10, 11) for text in found)
    assert {(10, 11, 13, 12, 14, 15), (10, 11, 15, 12, 13, 14), (10, 11, 14, 15, 12, 13)} <= found
    assert tuple(reversed(TOKENS[2:])) not in {text[2:] for text in found}  # one span alone
    assert revision.moved_span(TOKENS[:3], 2, draws) == TOKENS[:3]
    assert revision.moved_span(TOKENS[:1], 2, draws) == TOKENS[:1]


def test_what_is_told_goes_beyond_the_target_by_what_the_text_lacks():
    target, own = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.8, 0.6], [0.0, 1.0]])
    torch.testing.assert_close(revision.overshot(target, own, 0.0), target)
    expected = F.normalize(torch.tensor([[1.1, -0.3], [0.0, 1.0]]), dim=1)
    torch.testing.assert_close(revision.overshot(target, own, 0.5), expected)


def test_a_text_shorter_than_what_is_known_stays_whole():
    for edit in revision.draw_edits(0, TOKENS[:2], 4, 50, torch.Generator().manual_seed(0)):
        assert (edit.kept, edit.rest) == (TOKENS[:2], [])
    (cut,) = revision.draw_cuts(0, TOKENS[:2], 4, 1, torch.Generator().manual_seed(0))
    assert (cut.kept, cut.rest) == (TOKENS[:2], [])
    assert revision.dropped_spans(TOKENS[:2], 4) == []


def test_what_is_written_anew_stands_between_what_is_kept():
    model = conditional()
    proposer = Proposer(model, None, 0.0, 1.0)
    edits = [Edit(0, [5, 6], 2, [7]), Edit(1, [8], 0, []), Edit(1, [], 1, [9, 9]), Edit(0, [5, 6], 2, [7])]
    with torch.inference_mode():
        told = embeddings(2)[[0, 1, 1, 0]]
        found = revision.written(proposer, told, edits, 3, 6, [1, 2, 3, 1])
        alone = revision.written(proposer, told[2:3], edits[2:3], 3, 6, [3])
    assert found[0] == found[3]
    assert found[2] == alone[0]
    assert all(len(texts) == 3 == len(set(map(tuple, texts))) for texts in found)
    for text in found[0]:
        assert (text[:2], len(text), text[-1]) == ([5, 6], 5, 7)
    for text in found[1]:
        assert text[0] == 8
        assert len(text) <= 7
    for text in found[2]:
        assert (len(text), text[1:]) == (3, [9, 9])
    assert not any(model.sizes.end in text for texts in found for text in texts)
