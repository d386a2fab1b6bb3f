from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.controller.channel import observe
from lexivert.controller.sampling import Texts, add_noise, draw_texts, half_decoded
from lexivert.lexicon.units import END

UNITS = [[1, 2], [3], [4, 5, 6], [7, 8]]
SEMANTIC = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0]], dtype=np.float16)


@pytest.mark.parametrize("cosine", [1.0, 0.9, 0.5, 0.0])
def test_noise_has_the_stated_cosine(cosine):
    vectors = F.normalize(torch.randn(20, 64, generator=torch.Generator().manual_seed(0)), dim=1)
    noisy = add_noise(vectors, torch.full((20,), cosine), torch.Generator().manual_seed(1))
    torch.testing.assert_close((noisy * vectors).sum(dim=1), torch.full((20,), cosine), atol=1e-5, rtol=0)
    torch.testing.assert_close(noisy.norm(dim=1), torch.ones(20))
    if cosine < 1:
        noise = F.normalize(noisy - cosine * vectors, dim=1)
        assert (noise @ noise.T).fill_diagonal_(0).abs().max() < 0.6  # another direction for every vector


def test_drawn_texts_are_sentences_or_chains_of_neighbours():
    texts = Texts(UNITS, SEMANTIC)
    flat = [unit for units in UNITS for unit in units]
    rng = np.random.default_rng(0)
    longest = 0
    for _ in range(20):
        chosen, prefixes = draw_texts(texts, 6, 5, rng)
        for row, units in enumerate(chosen):
            start = flat.index(units[0])
            assert units == flat[start : start + len(units)]
            assert 1 <= len(units) <= 5
            longest = max(longest, len(units))
            if row % 2 == 0:
                assert units in UNITS
        torch.testing.assert_close(prefixes.norm(dim=1), torch.ones(6), atol=1e-3, rtol=0)
    assert longest == 5
    assert all(isinstance(units, list) for units in texts.units)
    assert UNITS == [[1, 2], [3], [4, 5, 6], [7, 8]]  # drawing changes nothing


def test_the_prefix_of_a_chain_is_weighted_by_length():
    """Two units of (1, 0, 0) and one of (0, 1, 0) give (2, 1, 0) / sqrt 5."""
    texts = Texts(UNITS[:2], SEMANTIC[:2])
    rng = np.random.default_rng(0)
    found = [
        prefix
        for _ in range(20)
        for units, prefix in zip(*draw_texts(texts, 2, 3, rng), strict=True)
        if units == [1, 2, 3]
    ]
    assert found
    for prefix in found:
        assert prefix.tolist() == pytest.approx([2 / 5**0.5, 1 / 5**0.5, 0.0], abs=1e-3)


@pytest.fixture(scope="module")
def example(world):
    units = world.texts([1, 5, 20, 40] * 25)
    prefixes = F.normalize(torch.randn(100, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    return units, prefixes, half_decoded(units, prefixes, 0.5, world.language, np.random.default_rng(0))


def test_truth_is_the_text_and_its_end(example):
    units, _, made = example
    for row, text in enumerate(units):
        assert made.truth[row].tolist() == [*text, END] + [-1] * (64 - len(text))


def test_targets_range_from_clean_to_the_noisiest(world, example):
    units, prefixes, made = example
    cosine = (made.target * world.vectors(units)).sum(dim=1)
    assert cosine.min() >= 0.5 - 1e-4
    assert cosine.min() < 0.6
    assert 10 <= (cosine > 0.9999).sum() <= 45
    torch.testing.assert_close((made.semantic * prefixes).sum(dim=1), cosine, atol=1e-4, rtol=0)
    torch.testing.assert_close(made.target.norm(dim=1), torch.ones(100))


def test_commits_are_mostly_right_and_of_every_share(example):
    _, _, made = example
    buffer = made.buffer
    committed = (buffer.weights == 1) & buffer.inside()
    right = (buffer.units == made.truth)[committed].float().mean().item()
    assert 0.95 < right < 1.0
    share = committed.sum(dim=1) / buffer.length
    assert share.min() == 0.0
    assert share.max() > 0.8
    expected = observe(made.target, buffer.total, buffer.length, buffer.known_energy(), buffer.complete())
    assert torch.equal(made.channel.residual, expected.residual)


def test_the_same_seed_gives_the_same_example(world, example):
    units, prefixes, made = example
    again = half_decoded(units, prefixes, 0.5, world.language, np.random.default_rng(0))
    assert torch.equal(again.target, made.target)
    assert torch.equal(again.buffer.units, made.buffer.units)
    other = half_decoded(units, prefixes, 0.5, world.language, np.random.default_rng(1))
    assert not torch.equal(other.target, made.target)
