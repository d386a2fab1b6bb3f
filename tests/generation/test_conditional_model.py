from __future__ import annotations

import itertools

import pytest
import torch

from generation.conditional_cases import conditional, embeddings
from lexivert.generation.conditional_model import principal_components

TEXTS = [[5, 6, 7, 8], [9], [], [4, 4, 39, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]]


def full_logits(model, embedding, text):
    """Logits behind each token of one text, read at once without a cache. Shape: (N + 1, T)."""
    queries = model(embedding[None], torch.tensor([[model.sizes.end, *text]]))
    return model.logits(queries)[0]


def test_reading_on_is_reading_at_once():
    """Texts of unequal lengths, in unequal steps; the gaps that this leaves in the cache change nothing."""
    model, told = conditional(), embeddings(4)
    paths = model.begin(told)
    for row in range(4):
        torch.testing.assert_close(paths.logits[row], full_logits(model, told[row], [])[-1])
    for before, cut in itertools.pairwise([(0, 0, 0, 0), (1, 1, 0, 3), (4, 1, 0, 9), (4, 1, 0, 14)]):
        paths = model.extend(paths, [text[a:b] for text, a, b in zip(TEXTS, before, cut, strict=True)])
        for row, text in enumerate(TEXTS):
            expected = full_logits(model, told[row], text[: cut[row]])[-1]
            torch.testing.assert_close(paths.logits[row], expected, rtol=1e-4, atol=1e-5)


def test_rows_may_be_repeated_dropped_and_reordered():
    model, told = conditional(), embeddings(3)
    paths = model.extend(model.begin(told), [[5], [6, 7], []])[torch.tensor([2, 1, 1])]
    paths = model.extend(paths, [[8], [9], [10]])
    for row, (owner, text) in enumerate([(2, [8]), (1, [6, 7, 9]), (1, [6, 7, 10])]):
        expected = full_logits(model, told[owner], text)[-1]
        torch.testing.assert_close(paths.logits[row], expected, rtol=1e-4, atol=1e-5)


def test_a_text_is_as_likely_as_its_tokens_and_its_end():
    model, told = conditional(), embeddings(4)
    found = model.log_probabilities(told, TEXTS)
    for row, text in enumerate(TEXTS):
        logits = full_logits(model, told[row], text)
        expected = sum(float(logits[place, token]) for place, token in enumerate([*text, model.sizes.end]))
        assert float(found[row]) == pytest.approx(expected, rel=1e-4)


def test_later_tokens_are_not_seen():
    model, told = conditional(), embeddings(1)
    one, other = (full_logits(model, told[0], [5, 6, last])[:3] for last in (7, 30))
    torch.testing.assert_close(one, other)


def test_another_embedding_says_something_else():
    model, told = conditional(), embeddings(2)
    one, other = (full_logits(model, embedding, [5]) for embedding in told)
    assert (one - other).abs().max() > 0.1


def test_nothing_is_read_where_nothing_is_given():
    model = conditional()
    paths = model.begin(embeddings(2))
    assert model.extend(paths, [[], []]) is paths


def test_principal_components_by_hand():
    """Points on a line through their mean have one component; what more is asked for is zero."""
    vectors = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
    found = principal_components(vectors, 3)
    assert found.shape == (3, 3)
    assert found[:, 1:].abs().max() < 1e-6
    scale = 0.5 / (2 / 9) ** 0.5  # the mean square of -1, 0 and 1 among nine entries is 2 / 9
    assert found[:, 0].abs().tolist() == pytest.approx([scale, 0.0, scale], abs=1e-6)
    assert found[0, 0] == pytest.approx(-float(found[2, 0]))
