from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.corruption import (
    ARITHMETIC,
    STORAGE,
    add_noise,
    blends,
    full_cosine,
    int8,
    sign_bits,
    training_cosines,
)


def random_vectors(count, width):
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(0)), dim=1)


@pytest.mark.parametrize("cosine", [1.0, 0.9, 0.5, 0.0])
def test_noise_has_the_stated_cosine(cosine):
    vectors = random_vectors(20, 64)
    noisy = add_noise(vectors, torch.full((20,), cosine), torch.Generator().manual_seed(1))
    torch.testing.assert_close((noisy * vectors).sum(dim=1), torch.full((20,), cosine), atol=1e-5, rtol=0)
    torch.testing.assert_close(noisy.norm(dim=1), torch.ones(20))
    if cosine < 1:
        noise = F.normalize(noisy - cosine * vectors, dim=1)
        assert (noise @ noise.T).fill_diagonal_(0).abs().max() < 0.6  # another direction for every vector


def test_every_vector_has_its_own_noise_level():
    vectors, cosines = random_vectors(3, 64), torch.tensor([1.0, 0.8, 0.3])
    noisy = add_noise(vectors, cosines, torch.Generator().manual_seed(1))
    torch.testing.assert_close((noisy * vectors).sum(dim=1), cosines, atol=1e-5, rtol=0)
    assert torch.equal(noisy, add_noise(vectors, cosines, torch.Generator().manual_seed(1)))


def test_half_of_a_training_batch_is_clean_and_the_rest_anywhere_above_the_least():
    cosine = training_cosines(2000, 0.75, np.random.default_rng(0))
    assert cosine.equal(training_cosines(2000, 0.75, np.random.default_rng(0)))
    assert (cosine.dtype, bool(cosine.min() >= 0.75)) == (torch.float32, True)
    assert 0.45 < (cosine == 1.0).float().mean() < 0.55
    assert 0.86 < cosine[cosine < 1.0].mean() < 0.89


def test_a_blend_lies_between_two_vectors_and_nearer_to_the_first():
    found = blends(torch.eye(5), torch.Generator().manual_seed(0))
    assert found.shape == (4, 5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    for row, blend in enumerate(found):
        first, second = blend[row].item(), blend[row + 1].item()
        assert first >= second > 0.3 * first
        assert blend.count_nonzero() == 2


def test_differences_negatives_and_sums_by_hand():
    vectors = torch.eye(4)
    made = {name: combine(vectors, torch.Generator().manual_seed(0)) for name, combine in ARITHMETIC.items()}
    assert {name: len(rows) for name, rows in made.items()} == {
        "blends_of_two": 3,
        "differences": 3,
        "negatives": 4,
        "sums_of_three": 2,
    }
    for row, difference in enumerate(made["differences"]):
        assert difference.norm().item() == pytest.approx(1.0)
        assert 0.5 <= -difference[row + 1].item() / difference[row].item() <= 1.0
    assert torch.equal(made["negatives"], -vectors)
    torch.testing.assert_close(made["sums_of_three"][1], torch.tensor([0.0, 1.0, 1.0, 1.0]) / 3**0.5)


def test_a_full_vector_is_as_noisy_as_its_order_part_tells():
    """A share of .75 in 10 of 50 dimensions."""
    clean = torch.tensor([(0.75 / 10) ** 0.5] * 10 + [(0.25 / 40) ** 0.5] * 40).expand(2000, -1)
    for cosine in (1.0, 0.8, 0.5):
        full = full_cosine(torch.full((2000,), cosine), 40, 10, 0.75)
        noisy = add_noise(clean, full, torch.Generator().manual_seed(0))
        order = F.cosine_similarity(noisy[:, 10:], clean[:, 10:])
        assert order.mean().item() == pytest.approx(cosine, abs=0.02)


def test_storage_by_hand():
    vectors = torch.tensor([[0.5, -0.25, 0.1, -0.0]])
    assert torch.equal(STORAGE["float32"](vectors), vectors)
    assert STORAGE["float16"](vectors)[0].tolist() == [0.5, -0.25, 0.0999755859375, 0.0]
    assert sign_bits(vectors)[0].tolist() == [0.5, -0.5, 0.5, 0.5]
    step = 0.5 / 127  # .25 is 63.5 steps, to the even 64; .1 is 25.4
    expected = [127 * step, -64 * step, 25 * step, 0.0]
    assert int8(vectors)[0].tolist() == pytest.approx(expected, abs=1e-7)
    assert not int8(torch.zeros(1, 4)).any()
    assert (STORAGE["int8"], STORAGE["sign"]) == (int8, sign_bits)


def test_storage_scales_every_vector_by_itself():
    vectors = torch.tensor([[1.0, 0.5], [100.0, 50.0]])
    for keep in STORAGE.values():
        small, large = F.normalize(keep(vectors), dim=1)
        torch.testing.assert_close(small, large)
