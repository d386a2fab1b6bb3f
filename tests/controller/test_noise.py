from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import superpose
from lexivert.controller.belief import Buffer
from lexivert.controller.noise import combined_cosine, fit, observe, onsager, prefix_cosine, proven, second_eos_score


def test_scale_of_a_hardly_known_text_by_hand():
    """Measured cosine .5·2 = 1 of precision 4/4, guessed .95 of precision 1/.2²: 24.75 / 26."""
    target, total = torch.full((1, 4), 0.5), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    channel = observe(target, total, torch.tensor([3]), torch.tensor([1.0]), torch.tensor([False]))
    scale = 2 / (24.75 / 26)
    rest = [scale / 2 - 1, scale / 2, scale / 2, scale / 2]
    assert channel.residual[0].tolist() == pytest.approx(rest, rel=1e-5)
    assert channel.variance.item() == pytest.approx(sum(x * x for x in rest) / 4, rel=1e-5)


def test_a_complete_text_is_scaled_by_least_squares():
    total = torch.tensor([[3.0, 4.0, 0.0, 0.0]])
    target = torch.tensor([[0.6, 0.0, 0.8, 0.0]])
    channel = observe(target, total, torch.tensor([1]), torch.tensor([2.0]), torch.tensor([True]))
    torch.testing.assert_close(channel.residual, 25 / 1.8 * target - total)


def test_a_right_text_leaves_nothing(world):
    texts = world.texts([12])
    buffer = committed(world, texts, share=1.0)
    channel = observe(world.vectors(texts), buffer.total, buffer.length, buffer.known_energy(), buffer.complete())
    assert channel.residual.norm() < 1e-4
    assert channel.variance.item() == pytest.approx(1e-7)
    assert fit(world.vectors(texts), buffer.total).item() == pytest.approx(1.0, abs=1e-6)


def committed(world, texts, share):
    codebook = world.codebook
    buffer = Buffer(torch.tensor([len(text) for text in texts]), codebook.codes, codebook.binding)
    for row, text in enumerate(texts):
        positions = torch.arange(int(share * len(text)))
        buffer.put(
            torch.full_like(positions, row), positions, torch.tensor(text)[positions], torch.ones(len(positions))
        )
    return buffer


@pytest.mark.parametrize("cosine", [1.0, 0.9, 0.6])
@pytest.mark.parametrize("share", [0.25, 0.75])
def test_variance_is_that_of_the_evidence(world, cosine, share):
    """The residual holds a position's own code, 1/O a dimension, and the noise that its evidence sees."""
    texts = world.texts([20] * 30)
    generator = torch.Generator().manual_seed(0)
    target = add_noise(world.vectors(texts), torch.full((30,), cosine), generator)
    buffer = committed(world, texts, share)
    channel = observe(target, buffer.total, buffer.length, buffer.known_energy(), buffer.complete())
    evidence = world.codebook.binding.unbind(channel.residual, torch.full((30,), 19))
    codes = world.codebook.codes[[text[19] for text in texts]].float()
    error = (evidence - codes).square().mean(dim=1) + 1 / 512
    assert (error / channel.variance).mean().item() == pytest.approx(1.0, abs=0.1)


def test_combined_cosine_by_hand():
    """Four units of six known in eight dimensions: .5·√6/4 of precision 16/3 against .95 of precision 25."""
    target, total = torch.zeros(1, 8), torch.zeros(1, 8)
    target[0, :2], total[0, 1] = torch.tensor([math.sqrt(0.9375), 0.25]), 2.0
    cosine = combined_cosine(target, total, torch.tensor([6.0]), torch.tensor([4.0]))
    measured, precision = 0.5 * math.sqrt(6) / 4, 16 / 3
    assert cosine.item() == pytest.approx((measured * precision + 0.95 * 25) / (precision + 25), rel=1e-5)


@pytest.mark.parametrize("share", [0.2, 0.4])
def test_a_prefix_is_as_noisy_as_the_order_part_tells(share):
    """Against noise that is the same in all 40 + 400 dimensions."""
    generator = torch.Generator().manual_seed(0)
    energies = torch.tensor([share / 40] * 40 + [(1 - share) / 400] * 400)
    clean = energies.sqrt().expand(300, -1)
    noisy = clean + 0.03 * torch.randn(clean.shape, generator=generator)
    prefix, order = (F.cosine_similarity(noisy[:, part], clean[:, part]) for part in (slice(40), slice(40, None)))
    told = prefix_cosine(order, 400, 40, share)
    assert told.mean().item() == pytest.approx(prefix.mean().item(), abs=0.01)
    assert prefix_cosine(torch.ones(1), 400, 40, share).item() == pytest.approx(1.0)


def test_fit_is_a_cosine():
    target = torch.tensor([[0.6, 0.8], [1.0, 0.0], [0.0, 1.0]])
    total = torch.tensor([[2.0, 0.0], [-3.0, 0.0], [0.0, 0.0]])
    assert fit(target, total).tolist() == pytest.approx([0.6, -1.0, 0.0])
    assert not math.isnan(fit(target, total)[2])


def test_what_proves_a_text_by_hand():
    """Nine units: with .6 between twins the tolerance is 2e-5 at most, with 4e-4 it is 4e-4 / 40 = 1e-5."""
    quality, length = torch.tensor([1.0, 1.0 - 1.9e-5, 1.0 - 2.1e-5]), torch.full((3,), 9)
    assert proven(quality, length, 0.6).tolist() == [True, True, False]
    assert proven(quality, length, 4e-4).tolist() == [True, False, False]  # a margin of 1e-5
    assert not proven(quality, length, 0.0).any()


def test_a_vector_with_a_near_twin_in_it_is_not_proven(world):
    """Two units 5e-5 apart: the wrong one fits to 1 - 1e-5, nearer than any fixed tolerance that rounding allows."""
    apart, text = 5e-5, [5, 6, 7, 8]
    codes = world.codebook.codes[:20].float()
    other = F.normalize(codes[11] - (codes[11] @ codes[5]) * codes[5], dim=0)
    codes[10] = (1 - apart) * codes[5] + math.sqrt(1 - (1 - apart) ** 2) * other
    target = F.normalize(superpose([text], codes, world.codebook.binding), dim=1)
    for first, certain in ((5, True), (10, False)):
        total = superpose([[first, *text[1:]]], codes, world.codebook.binding)
        assert proven(fit(target, total), torch.tensor([4]), apart).item() is certain


@pytest.mark.parametrize(("remembered", "least", "most"), [(True, 0.9, 1.0), (False, 0.0, 0.6)])
def test_memory_is_what_makes_parallel_guessing_converge(make_world, remembered, least, most):
    """AMP as the papers have it, without the decode loop: 32 units in 256 dimensions, means over all 1000 units."""
    world = make_world(1000, 256)
    codes, binding, log_prior = world.codebook.codes.float(), world.codebook.binding, world.codebook.log_prior
    draws = torch.multinomial(log_prior.exp(), 40 * 32, replacement=True, generator=torch.Generator().manual_seed(2))
    target = world.vectors([row.tolist() for row in draws.view(40, 32)])
    rows, places = torch.arange(40).repeat_interleave(32), torch.arange(32).repeat(40)
    buffer = Buffer(torch.full((40,), 32), world.codebook.codes, binding)
    memory = torch.zeros_like(target)
    for turn in range(5):
        channel = observe(target, buffer.total, buffer.length, buffer.known_energy(), buffer.complete(), memory)
        evidence = binding.unbind(channel.residual[rows], places) + buffer.known(rows, places)
        variance = channel.variance[rows]
        if remembered and turn < 3:  # the noise that AMP claims is the error that its evidence has
            ratio = ((evidence - codes[draws]).square().mean(dim=1) / variance).mean()
            assert ratio.item() == pytest.approx(1.0, abs=0.05)
        posterior = torch.softmax(evidence @ codes.T / variance[:, None] + log_prior, dim=1)
        means = posterior @ codes
        buffer.put(rows, places, draws, torch.full((len(rows),), 0.5), means)
        spread = torch.zeros(40).index_add_(0, rows, 1.0 - means.square().sum(dim=1))
        memory = onsager(channel, spread) if remembered else memory
    assert least <= (posterior.argmax(dim=1) == draws).float().mean().item() <= most


def test_a_second_end_shows_in_a_blend_and_not_in_noise(world):
    """512 dimensions and texts of 8 and 11 units: sqrt(512 / 12) = 6.5 deviations at EOS's other place."""
    texts = world.texts([8, 11] * 20, seed=1)
    vectors = world.vectors(texts)
    total = superpose(texts, world.codebook.codes, world.codebook.binding)
    blended = F.normalize(vectors[0::2] + 0.8 * vectors[1::2], dim=1)
    noise = torch.randn(20, 512, generator=torch.Generator().manual_seed(0)) / 512**0.5
    noisy = F.normalize(vectors[0::2] + 0.8 * noise, dim=1)
    second = second_eos_score(blended, total[0::2], world.codebook.eos_codes)
    assert second.mean().item() == pytest.approx(6.5, abs=0.5)
    assert second_eos_score(noisy, total[0::2], world.codebook.eos_codes).max() < 4.5
