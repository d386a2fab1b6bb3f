from __future__ import annotations

import pytest
import torch

from lexivert.generation.mask_predict import MaskPredict, equal_draws
from lexivert.priors.base import Prior
from lexivert.text.lexicon import EOS


def nothing_known(count):
    return torch.full((count, 12), -1)


@pytest.fixture
def plain(told):
    """Wants 7, 8, 9, and texts of three units."""
    return MaskPredict(told(60, (7, 8, 9), 3), 12)


def test_the_priors_of_these_tests_are_priors(told):
    assert isinstance(told(60, (), 3), Prior)


def test_the_likeliest_length_and_units_are_written(plain):
    assert plain.decode(torch.randn(2, 4), nothing_known(2), 0.0, equal_draws(0, 2)) == [[7, 8, 9]] * 2


def test_a_known_length_is_kept(plain):
    lengths = torch.tensor([1, 2])
    assert plain.decode(torch.randn(2, 4), nothing_known(2), 0.0, equal_draws(0, 2), lengths) == [[7], [7, 8]]


def test_known_units_are_kept(plain):
    known = nothing_known(1)
    known[0, :2] = torch.tensor([20, 21])
    assert plain.decode(torch.randn(1, 4), known, 0.0, equal_draws(0, 1)) == [[20, 21, 9]]
    known[0, :5] = torch.tensor([20, 21, 22, 23, 24])
    assert plain.decode(torch.randn(1, 4), known, 0.0, equal_draws(0, 1))[0][:5] == [20, 21, 22, 23, 24]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_texts_have_neither_eos_nor_what_is_banned(make_world, temperature):
    prior = make_world(200, 32, positions=12).prior.without([1, 2, 3])
    prefixes = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    texts = MaskPredict(prior, 12).decode(prefixes, nothing_known(4), temperature, equal_draws(0, 4))
    assert all(1 <= len(text) < 12 for text in texts)
    assert not {EOS, 1, 2, 3} & {unit for text in texts for unit in text}


def test_a_draw_is_the_same_for_the_same_seed(make_world):
    prefixes = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    drafter = MaskPredict(make_world(200, 32, positions=12).prior, 12)
    one, same, other = (drafter.decode(prefixes, nothing_known(4), 1.0, equal_draws(seed, 4)) for seed in (1, 1, 2))
    assert one == same
    assert one != other
    for row in range(4):  # whatever is written beside it
        (alone,) = drafter.decode(prefixes[row : row + 1], nothing_known(1), 1.0, equal_draws(1, 1))
        assert alone == one[row]


def test_more_known_units_than_a_drafted_text_ever_has(told):
    """Lengths of more than 64 units are not drafted, but a known beginning is never cut."""
    known = torch.full((1, 97), -1)
    known[0, :70] = 20
    drafter = MaskPredict(told(60, (7, 8, 9), 3), 97)
    for temperature in (0.0, 1.0):
        (text,) = drafter.decode(torch.randn(1, 4), known, temperature, equal_draws(0, 1))
        assert text == [20] * 70


def test_rare_units_come_once(told):
    """One unit is likelier than all others at every position, but not one of the 48 most frequent."""
    bias = torch.zeros(60)
    bias[:48] = 1.0
    drafter = MaskPredict(told(60, (55,), 3, bias), 12)
    (text,) = drafter.decode(torch.randn(1, 4), nothing_known(1), 0.0, equal_draws(0, 1))
    assert len(text) == 3
    assert text.count(55) == 1
    known = nothing_known(1)
    known[0, 1] = 55
    (text,) = drafter.decode(torch.randn(1, 4), known, 0.0, equal_draws(0, 1))
    assert (len(text), text[1], text.count(55)) == (3, 55, 1)


def test_how_many_units_may_be_repeated_is_an_argument(told):
    """With 55 the most frequent of all, it comes as often as it is likely, unless none may be repeated."""
    bias = torch.zeros(60)
    bias[55] = 1.0
    for repeatable, times in ((1, 3), (0, 1)):
        drafter = MaskPredict(told(60, (55,), 3, bias), 12, repeatable)
        (text,) = drafter.decode(torch.randn(1, 4), nothing_known(1), 0.0, equal_draws(0, 1))
        assert text.count(55) == times
