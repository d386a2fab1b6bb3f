from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.controller.channel import observe
from lexivert.controller.sampling import (
    Texts,
    add_noise,
    calibrated_candidates,
    draw_lesson,
    draw_texts,
    half_decoded,
)
from lexivert.controller.selector import HELD
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
    texts = Texts(UNITS, UNITS, SEMANTIC)
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
    texts = Texts(UNITS[:2], UNITS[:2], SEMANTIC[:2])
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


def test_chains_are_written_throughout_or_respelled_throughout():
    respelled = [[unit + 10 for unit in text for _ in range(2)] for text in UNITS]
    texts, rng = Texts(UNITS, respelled, SEMANTIC), np.random.default_rng(0)
    chosen = [text for _ in range(50) for text in draw_texts(texts, 6, 8, rng)[0]]
    kinds = [{unit > 10 for unit in text} for text in chosen]
    assert all(len(kind) == 1 for kind in kinds)
    assert 0.3 < sum(kind == {True} for kind in kinds) / len(kinds) < 0.5


UNIGRAM = torch.full((50,), 0.02).cumsum(dim=0)


def test_candidates_of_probability_p_are_right_that_often():
    """The true units are 100 and more, so that no wrong candidate, drawn below 50, is right by chance."""
    truth = torch.randint(100, 150, (400, 30), generator=torch.Generator().manual_seed(0))
    truth[:, 25:] = -1
    units, shares = calibrated_candidates(truth, UNIGRAM, torch.Generator().manual_seed(1))
    right = units == truth[:, :, None]
    inside = truth >= 0
    assert (units[~inside] == -1).all()
    assert not shares[~inside].any()
    assert shares.min() >= 0
    assert shares.sum(dim=2).max() <= 1 + 1e-6
    for place in range(HELD):
        share, hit = shares[inside][:, place], right[inside][:, place].float()
        assert hit[share == 0].sum() == 0
        assert hit[share > 1 - 1e-6].all()
        for low in (0.0, 0.1, 0.25, 0.5, 0.75):
            chosen = (share > low) & (share <= low + 0.25) & (share < 1)
            if chosen.sum() > 100:
                error = 4 * 0.5 / chosen.sum().item() ** 0.5
                assert hit[chosen].mean().item() == pytest.approx(share[chosen].mean().item(), abs=error)
    first = shares[inside][:, 0]
    assert (first > 1 - 1e-6).float().mean() > 0.1  # some of the text is known surely
    assert ((first > 0.1) & (first < 0.9)).float().mean() > 0.1


def test_texts_are_known_to_every_degree():
    truth = torch.randint(100, 150, (400, 30), generator=torch.Generator().manual_seed(0))
    _, shares = calibrated_candidates(truth, UNIGRAM, torch.Generator().manual_seed(1))
    known = shares.sum(dim=2).mean(dim=1)
    assert known.min() < 0.1
    assert known.max() > 0.9


def lesson(seed, batch=4, most=5):
    texts = Texts(UNITS, UNITS, SEMANTIC)
    by_length = np.array([1, 0, 3, 2])
    return draw_lesson(texts, by_length, (batch, most), 0.6, UNIGRAM, np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_lesson():
    one, same = lesson(3), lesson(3)
    for name in ("units", "shares", "length", "semantic", "cosine"):
        assert torch.equal(getattr(one.context, name), getattr(same.context, name))
    assert torch.equal(one.truth, same.truth)
    assert not torch.equal(lesson(4).context.semantic, one.context.semantic)


def test_lessons_are_of_neighbours_in_length_or_of_chains():
    lessons = [lesson(seed, batch=2) for seed in range(60)]
    flat = [unit for text in UNITS for unit in text]
    plain = 0
    for made in lessons:
        texts = [row[row >= 0].tolist() for row in made.truth]
        assert made.context.length.tolist() == [len(text) for text in texts]
        assert made.truth.shape[1] == max(map(len, texts)) <= 5
        for text in texts:
            start = flat.index(text[0])
            assert text == flat[start : start + len(text)]
        plain += texts in ([[3], [1, 2]], [[1, 2], [7, 8]], [[7, 8], [4, 5, 6]])
    assert 0.5 < plain / 60 <= 1.0


def test_long_texts_are_drawn_more_often():
    """By the square root of a uniform draw: of four places 1, 3, 5 and 7 in 16, chains aside."""
    drawn = [lesson(seed, batch=1).truth for seed in range(1500)]
    texts = [row[row >= 0].tolist() for row in drawn]
    alone = [UNITS.index(text) for text in texts if text in UNITS]
    counts = np.bincount(alone, minlength=4)[[1, 0, 3, 2]]
    assert counts[3] > counts[2] > counts[1] > counts[0] > 0
    assert counts[3] / counts[0] > 3


def test_prefixes_are_as_noisy_as_the_lesson_says():
    lessons = [lesson(seed, batch=1) for seed in range(300)]
    cosines = torch.cat([made.context.cosine for made in lessons])
    assert 0.02 < (cosines == 0).float().mean() < 0.15
    assert 0.3 < (cosines == 1).float().mean() < 0.5
    noisy = cosines[(cosines > 0) & (cosines < 1)]
    assert noisy.min() >= 0.6
    for made in lessons:
        text = made.truth[0].tolist()
        if text in UNITS and made.context.cosine > 0:
            clean = F.normalize(torch.from_numpy(SEMANTIC[UNITS.index(text)].astype(np.float32)), dim=0)
            measured = (made.context.semantic[0] @ clean).item()
            assert measured == pytest.approx(made.context.cosine.item(), abs=1e-3)


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
