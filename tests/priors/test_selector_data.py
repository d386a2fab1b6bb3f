from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.data.encoded_texts import EncodedTexts
from lexivert.priors.base import TOP_K
from lexivert.priors.selector_data import SelectorTexts, calibrated_candidates, draw_batch, draw_chains
from lexivert.text.augmentation import SubwordRegularizer
from lexivert.text.lexicon import RESERVED, Lexicon

UNITS = [[1, 2], [3], [4, 5, 6], [7, 8]]
PREFIXES = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0.8, 0]])
WRITTEN = EncodedTexts([], UNITS, PREFIXES)
TEXTS = SelectorTexts(WRITTEN, WRITTEN)


def chained(texts, starts, wanted, most, seed=0):
    chains = draw_chains(texts, np.array(starts), np.array(wanted), most, np.random.default_rng(seed))
    return chains.units, chains.prefixes


def test_chains_go_on_until_there_are_as_many_units_as_wanted():
    """From the first text on: 1 unit is wanted, then 3 and 4; from the last there is nothing to go on to."""
    chosen, prefixes = chained(TEXTS, [0, 0, 0, 2, 3], [1, 3, 4, 9, 9], 5)
    assert chosen == [[1, 2], [1, 2, 3], [1, 2, 3, 4, 5], [4, 5, 6, 7, 8], [7, 8]]
    torch.testing.assert_close(prefixes.norm(dim=1), torch.ones(5), atol=1e-3, rtol=0)
    assert UNITS == [[1, 2], [3], [4, 5, 6], [7, 8]]  # chaining changes nothing


def test_the_prefix_of_a_chain_is_weighted_by_length():
    """Two units of (1, 0, 0) and one of (0, 1, 0) give (2, 1, 0) / sqrt 5."""
    _, prefixes = chained(TEXTS, [0], [3], 5)
    assert prefixes[0].tolist() == pytest.approx([2 / 5**0.5, 1 / 5**0.5, 0.0], abs=1e-3)


def test_chains_are_in_one_spelling_throughout():
    regularized = [[unit + 10 for unit in text for _ in range(2)] for text in UNITS]
    texts = SelectorTexts(WRITTEN, EncodedTexts([], regularized, PREFIXES))
    chosen, _ = chained(texts, [0, 1, 2] * 100, [8] * 300, 8)
    kinds = [{unit > 10 for unit in text} for text in chosen]
    assert all(len(kind) == 1 for kind in kinds)
    assert 0.3 < sum(kind == {True} for kind in kinds) / len(kinds) < 0.5


UNIGRAM = torch.full((50,), 0.02).cumsum(dim=0)


def test_candidates_of_probability_p_are_right_that_often():
    """The true units are 100 and more, so that no wrong candidate, drawn below 50, is right by chance."""
    truth = torch.randint(100, 150, (400, 30), generator=torch.Generator().manual_seed(0))
    truth[:, 25:] = -1
    units, marginals = calibrated_candidates(truth, UNIGRAM, torch.Generator().manual_seed(1))
    right = units == truth[:, :, None]
    inside = truth >= 0
    assert (units[~inside] == -1).all()
    assert not marginals[~inside].any()
    assert marginals.min() >= 0
    assert marginals.sum(dim=2).max() <= 1 + 1e-6
    for place in range(TOP_K):
        share, hit = marginals[inside][:, place], right[inside][:, place].float()
        assert hit[share == 0].sum() == 0
        assert hit[share > 1 - 1e-6].all()
        for low in (0.0, 0.1, 0.25, 0.5, 0.75):
            chosen = (share > low) & (share <= low + 0.25) & (share < 1)
            if chosen.sum() > 100:
                error = 4 * 0.5 / chosen.sum().item() ** 0.5
                assert hit[chosen].mean().item() == pytest.approx(share[chosen].mean().item(), abs=error)
    first = marginals[inside][:, 0]
    assert (first > 1 - 1e-6).float().mean() > 0.1  # some of the text is known surely
    assert ((first > 0.1) & (first < 0.9)).float().mean() > 0.1


def test_texts_are_known_to_every_degree():
    truth = torch.randint(100, 150, (400, 30), generator=torch.Generator().manual_seed(0))
    _, marginals = calibrated_candidates(truth, UNIGRAM, torch.Generator().manual_seed(1))
    known = marginals.sum(dim=2).mean(dim=1)
    assert known.min() < 0.1
    assert known.max() > 0.9


def batch_of(seed, batch=4, most=5):
    by_length = np.array([1, 0, 3, 2])
    return draw_batch(TEXTS, by_length, (batch, most), 0.6, UNIGRAM, np.random.default_rng(seed))


def test_the_same_seed_gives_the_same_batch():
    one, same = batch_of(3), batch_of(3)
    for name in ("units", "marginals", "length", "prefix", "cosine"):
        assert torch.equal(getattr(one.belief, name), getattr(same.belief, name))
    assert torch.equal(one.truth, same.truth)
    assert not torch.equal(batch_of(4).belief.prefix, one.belief.prefix)


def test_batches_are_of_neighbours_in_length_or_of_chains():
    batches = [batch_of(seed, batch=2) for seed in range(60)]
    flat = [unit for text in UNITS for unit in text]
    plain = 0
    for made in batches:
        texts = [row[row >= 0].tolist() for row in made.truth]
        assert made.belief.length.tolist() == [len(text) for text in texts]
        assert made.truth.shape[1] == max(map(len, texts)) <= 5
        for text in texts:
            start = flat.index(text[0])
            assert text == flat[start : start + len(text)]
        plain += texts in ([[3], [1, 2]], [[1, 2], [7, 8]], [[7, 8], [4, 5, 6]])
    assert 0.5 < plain / 60 <= 1.0


def test_long_texts_are_drawn_more_often():
    """By the square root of a uniform draw: of four places 1, 3, 5 and 7 in 16, chains aside."""
    drawn = [batch_of(seed, batch=1).truth for seed in range(1500)]
    texts = [row[row >= 0].tolist() for row in drawn]
    alone = [UNITS.index(text) for text in texts if text in UNITS]
    counts = np.bincount(alone, minlength=4)[[1, 0, 3, 2]]
    assert counts[3] > counts[2] > counts[1] > counts[0] > 0
    assert counts[3] / counts[0] > 3


def test_prefixes_are_as_noisy_as_the_batch_says():
    batches = [batch_of(seed, batch=1) for seed in range(300)]
    cosines = torch.cat([made.belief.cosine for made in batches])
    assert 0.02 < (cosines == 0).float().mean() < 0.15
    assert 0.3 < (cosines == 1).float().mean() < 0.5
    noisy = cosines[(cosines > 0) & (cosines < 1)]
    assert noisy.min() >= 0.6
    for made in batches:
        text = made.truth[0].tolist()
        if text in UNITS and made.belief.cosine > 0:
            clean = F.normalize(PREFIXES[UNITS.index(text)], dim=0)
            measured = (made.belief.prefix[0] @ clean).item()
            assert measured == pytest.approx(made.belief.cosine.item(), abs=1e-3)


def test_texts_are_spelled_again_in_order_unless_that_makes_them_too_long():
    """Rare words lack half the time and are then spelled in pieces: three units instead of one."""
    words = [first + second for first in ("sun", "moon", "star", "rain") for second in ("rise", "light", "fall")]
    surfaces = (
        *RESERVED,
        *["##rise", "##light", "##fall", "su", "mo", "st", "ra", "##n", "##on", "##ar", "##in"],
        *words,
    )
    kinds = ("control",) * 6 + ("byte",) * 256 + ("piece",) * 11 + ("word",) * 12
    lexicon = Lexicon(surfaces, kinds, np.ones(len(surfaces), np.int64), np.ones(len(surfaces), np.int64))
    units = [[lexicon.id_of[word]] for word in words]
    written = EncodedTexts(words, units, torch.eye(12))
    again = SubwordRegularizer(lexicon, 1)
    expected = [again.segment(word) for word in words]
    texts = SelectorTexts.of(written, SubwordRegularizer(lexicon, 1), most=3)
    assert texts.written is written
    assert texts.regularized.units == expected
    assert 3 <= sum(len(spelled) == 3 for spelled in expected) <= 9
    assert texts.regularized.prefixes is written.prefixes
    short = SelectorTexts.of(written, SubwordRegularizer(lexicon, 1), most=2)
    assert short.regularized.units == units
