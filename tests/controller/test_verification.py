from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.superposition import superpose
from lexivert.controller.verification import fit, lowest_eos_score, second_eos_score, verified


def test_fit_is_a_cosine():
    order = torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])
    total = torch.tensor([[2.0, 0.0], [-3.0, 0.0], [0.0, 0.0]])
    assert fit(order, total).tolist() == pytest.approx([0.6, -1.0, 0.0])
    assert not math.isnan(fit(order, total)[2])


def test_what_verifies_a_text_by_hand():
    """Nine units: at minimum distance .6 the tolerance is 2e-5 at most, at 4e-4 it is 4e-4 / 40 = 1e-5."""
    fits, length = torch.tensor([1.0, 1.0 - 1.9e-5, 1.0 - 2.1e-5]), torch.full((3,), 9)
    assert verified(fits, length, 0.6).tolist() == [True, True, False]
    assert verified(fits, length, 4e-4).tolist() == [True, False, False]
    assert not verified(fits, length, 0.0).any()


def test_where_the_margin_is_finer_than_rounding_nothing_is_verified():
    """A distance of 4e-5 over ten codes leaves 1e-6, which float32 can't tell."""
    assert not verified(torch.ones(1), torch.tensor([9]), 4e-5).any()
    assert verified(torch.ones(1), torch.tensor([9]), 8e-5).all()


def test_a_vector_of_a_codeword_near_the_right_one_is_not_verified(world):
    """Two units 5e-5 apart: the wrong one fits to 1 - 1e-5, nearer than any fixed tolerance that rounding allows."""
    distance, text = 5e-5, [5, 6, 7, 8]
    codes = world.codebook.codes[:20].float()
    other = F.normalize(codes[11] - (codes[11] @ codes[5]) * codes[5], dim=0)
    codes[10] = (1 - distance) * codes[5] + math.sqrt(1 - (1 - distance) ** 2) * other
    order = F.normalize(superpose([text], codes, world.codebook.binding), dim=1)
    for first, certain in ((5, True), (10, False)):
        total = superpose([[first, *text[1:]]], codes, world.codebook.binding)
        assert verified(fit(order, total), torch.tensor([4]), distance).item() is certain


@pytest.mark.parametrize("share", [0.8, -0.8])
def test_a_second_eos_shows_in_a_sum_or_difference_and_not_in_noise(world, share):
    """512 dimensions and texts of 8 and 11 units: sqrt(512 / 12) = 6.5 deviations at EOS's other place."""
    texts = world.texts([8, 11] * 20, seed=1)
    vectors = world.vectors(texts)
    total = superpose(texts, world.codebook.codes, world.codebook.binding)
    blended = F.normalize(vectors[0::2] + share * vectors[1::2], dim=1)
    noise = torch.randn(20, 512, generator=torch.Generator().manual_seed(0)) / 512**0.5
    noisy = F.normalize(vectors[0::2] + 0.8 * noise, dim=1)
    second = second_eos_score(blended, total[0::2], world.codebook.eos_codes)
    assert second.mean().item() == pytest.approx(6.5, abs=0.5)
    assert second_eos_score(noisy, total[0::2], world.codebook.eos_codes).max() < 4.5


def test_what_was_subtracted_leaves_a_negative_eos_and_noise_does_not(world):
    """512 dimensions and texts of 8 units: sqrt(512 / 9) = 7.5 deviations, in a negated vector."""
    vectors, eos = world.vectors(world.texts([8] * 20, seed=1)), world.codebook.eos_codes
    assert lowest_eos_score(-vectors, eos).mean().item() == pytest.approx(-7.5, abs=0.5)
    noise = torch.randn(20, 512, generator=torch.Generator().manual_seed(0)) / 512**0.5
    for given in (vectors, F.normalize(vectors + noise, dim=1)):
        assert lowest_eos_score(given, eos).min() > -4.5
