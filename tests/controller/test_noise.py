from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.codes.corruption import add_noise
from lexivert.controller.belief import BeliefState
from lexivert.controller.noise import (
    NoiseEstimate,
    estimate_noise,
    onsager,
    prefix_cosine,
)
from lexivert.controller.observation import Observation
from lexivert.controller.verification import fit
from lexivert.text.lexicon import EOS


def estimate(world, order, belief, **changes):
    rows = torch.arange(len(order))
    return estimate_noise(world.observed(order), belief, rows, complete=belief.complete(rows), **changes)


def eos_alone(width):
    """Codes of four units, all zero but EOS's."""
    codes = torch.zeros(4, width, dtype=torch.float16)
    codes[EOS, 0] = 1.0
    return codes


def believing(total, length, energy):
    """A belief about one text of ``length`` units whose sum and energy are set by hand; EOS's code has energy 1.

    Its one mean, at position 0, has the energy that EOS leaves of ``energy``.
    """
    width = total.shape[1]
    codebook = Codebook(
        eos_alone(width), torch.zeros(4), RotaryBinding(width, length + 1, seed=0), semantic_share=0.5
    )
    belief = BeliefState.of_lengths(codebook, torch.tensor([length]))
    zero, mean = torch.tensor([0]), torch.zeros(1, width)
    mean[0, 0] = math.sqrt(energy - 1.0)
    belief.put(zero, zero, torch.full((1, 3), -1), torch.zeros(1, 3), mean)
    belief.total = total
    return belief


def test_scale_of_a_hardly_known_text_by_hand():
    """Measured cosine .5·2 = 1 of precision 4/4, prior guess .95 of precision 1/.2²: 24.75 / 26."""
    order, total = torch.full((1, 4), 0.5), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    found = estimate_noise(
        Observation.of(order, torch.zeros(1, 2)), believing(total, length=3, energy=1.0), torch.tensor([0])
    )
    scale = 2 / (24.75 / 26)
    rest = [scale / 2 - 1, scale / 2, scale / 2, scale / 2]
    assert found.residual[0].tolist() == pytest.approx(rest, rel=1e-5)
    assert found.variance.item() == pytest.approx(sum(x * x for x in rest) / 4, rel=1e-5)
    assert found.cosine.item() == pytest.approx(24.75 / 26, rel=1e-5)


def test_a_cosine_is_measured_by_what_is_known_and_weighed_against_a_guess_by_hand():
    """Four units of six known in eight dimensions: .5·√6/4 of precision 16/3 against .95 of precision 25."""
    order, total = torch.zeros(1, 8), torch.zeros(1, 8)
    order[0, :2], total[0, 1] = torch.tensor([math.sqrt(0.9375), 0.25]), 2.0
    found = estimate_noise(
        Observation.of(order, torch.zeros(1, 2)), believing(total, length=5, energy=4.0), torch.tensor([0])
    )
    measured, precision = 0.5 * math.sqrt(6) / 4, 16 / 3
    assert found.cosine.item() == pytest.approx((measured * precision + 0.95 * 25) / (precision + 25), rel=1e-5)


def test_an_uncertain_length_counts_as_its_mean():
    """Half one unit, half three: three codes with EOS's, of which EOS's belief has energy ½."""
    codebook = Codebook(eos_alone(8), torch.zeros(4), RotaryBinding(8, 5, seed=0))
    belief = BeliefState(codebook, torch.tensor([[0.0, 0.5, 0.0, 0.5, 0.0]]))
    belief.total.zero_()
    row = torch.tensor([0])
    assert belief.expected_energy(row).item() == 3.0
    assert belief.believed_energy(row).item() == 0.5
    order = F.normalize(torch.ones(1, 8), dim=1)
    found = estimate_noise(Observation.of(order, torch.zeros(1, 2)), belief, row)
    precision = 0.5 * 8 / 3  # of a measured cosine of 0
    cosine = 0.95 * 25 / (precision + 25)
    assert found.cosine.item() == pytest.approx(cosine, rel=1e-5)
    torch.testing.assert_close(found.residual, math.sqrt(3) / cosine * order)


def test_a_complete_text_is_scaled_by_least_squares():
    order, total = torch.tensor([[0.6, 0.0, 0.8, 0.0]]), torch.tensor([[3.0, 4.0, 0.0, 0.0]])
    belief = believing(total, length=1, energy=2.0)
    found = estimate_noise(
        Observation.of(order, torch.zeros(1, 2)), belief, torch.tensor([0]), complete=torch.tensor([True])
    )
    torch.testing.assert_close(found.residual, 25 / 1.8 * order - total)
    assert found.cosine.item() == pytest.approx(0.2)  # √2·1.8/25 = .10, below the least that is believed


def test_memory_is_added_and_the_variance_is_scaled():
    order, total = torch.full((1, 4), 0.5), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    belief, row = believing(total, length=3, energy=1.0), torch.tensor([0])
    observed = Observation.of(order, torch.zeros(1, 2))
    before = estimate_noise(observed, belief, row)
    belief.memory[0] = torch.tensor([0.5, -0.25, 0.0, 1.0])
    after = estimate_noise(observed, belief, row, variance_scale=torch.tensor([0.8]))
    torch.testing.assert_close(after.residual, before.residual + belief.memory)
    assert after.variance.item() == pytest.approx(0.8 * after.residual.square().sum().item() / 4, rel=1e-5)
    assert after.cosine.item() == before.cosine.item()


def test_some_rows_are_those_of_all(world):
    texts = world.texts([9, 4, 20])
    belief, order = committed(world, texts, share=0.5), world.vectors(texts)
    everything = estimate_noise(world.observed(order), belief, torch.arange(3))
    some = estimate_noise(world.observed(order), belief, torch.tensor([2, 0]))
    for name in ("residual", "variance", "cosine", "prefix_cosine"):
        torch.testing.assert_close(getattr(some, name), getattr(everything, name)[[2, 0]])


def test_a_right_text_leaves_nothing(world):
    texts = world.texts([12])
    belief = committed(world, texts, share=1.0)
    found = estimate(world, world.vectors(texts), belief)
    assert found.residual.norm() < 1e-4
    assert found.variance.item() == pytest.approx(1e-5)  # never less: rounding to half floats leaves as much
    assert fit(world.vectors(texts), belief.total).item() == pytest.approx(1.0, abs=1e-6)


def committed(world, texts, share):
    belief = BeliefState.of_lengths(world.codebook, torch.tensor([len(text) for text in texts]))
    for row, text in enumerate(texts):
        positions = torch.arange(int(share * len(text)))
        belief.commit(torch.full_like(positions, row), positions, torch.tensor(text)[positions])
    return belief


@pytest.mark.parametrize("cosine", [1.0, 0.9, 0.6])
@pytest.mark.parametrize("share", [0.25, 0.75])
def test_variance_is_that_of_the_evidence(world, cosine, share):
    """The residual has a position's own code in it, 1/O a dimension, and the noise that its evidence sees."""
    texts = world.texts([20] * 30)
    generator = torch.Generator().manual_seed(0)
    order = add_noise(world.vectors(texts), torch.full((30,), cosine), generator)
    found = estimate(world, order, committed(world, texts, share))
    effective = world.codebook.binding.unbind(found.residual, torch.full((30,), 19))
    codes = world.codebook.codes[[text[19] for text in texts]].float()
    error = (effective - codes).square().mean(dim=1) + 1 / 512
    assert (error / found.variance).mean().item() == pytest.approx(1.0, abs=0.1)


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


def test_a_missing_prefix_has_no_cosine(world):
    """Else it is what the order part tells."""
    texts = world.texts([20, 20])
    order = add_noise(world.vectors(texts), torch.full((2,), 0.8), torch.Generator().manual_seed(0))
    prefix = torch.tensor([[1.0] * 8, [0.0] * 8])
    belief = committed(world, texts, share=0.5)
    found = estimate_noise(Observation.of(order, prefix), belief, torch.arange(2))
    expected = prefix_cosine(found.cosine, 512, 8, world.codebook.semantic_share)
    torch.testing.assert_close(found.prefix_cosine, expected * torch.tensor([1.0, 0.0]))
    assert 0.9 < found.prefix_cosine[0] < 0.999


def test_memory_is_the_mean_derivative_of_the_residual_by_hand():
    """Divergence .6 over 4 dimensions of variance .25 is a share of .6; it is at least 0 and at most 1."""
    found = NoiseEstimate(torch.ones(3, 4), torch.full((3,), 0.25), torch.ones(3), torch.ones(3))
    memory = onsager(found, torch.tensor([0.6, -0.3, 7.0]))
    torch.testing.assert_close(memory, torch.tensor([0.6, 0.0, 1.0])[:, None].expand(3, 4))


@pytest.mark.parametrize(("remembered", "least", "most"), [(True, 0.9, 1.0), (False, 0.0, 0.6)])
def test_memory_is_what_makes_parallel_guessing_converge(make_world, remembered, least, most):
    """AMP as the papers have it, without the decode loop: 32 units in 256 dimensions, means over all 1000 units."""
    world = make_world(1000, 256)
    codes, binding, log_prior = world.codebook.codes.float(), world.codebook.binding, world.codebook.log_prior
    draws = torch.multinomial(log_prior.exp(), 40 * 32, replacement=True, generator=torch.Generator().manual_seed(2))
    order = world.vectors([row.tolist() for row in draws.view(40, 32)])
    rows, positions = torch.arange(40).repeat_interleave(32), torch.arange(32).repeat(40)
    belief = BeliefState.of_lengths(world.codebook, torch.full((40,), 32))
    guessed, marginals = draws[:, None].expand(-1, 3), torch.full((len(rows), 3), 0.2)
    for turn in range(5):
        found = estimate(world, order, belief)
        effective = binding.unbind(found.residual[rows], positions)
        effective += belief.means[rows, positions] if turn else 0.0
        variance = found.variance[rows]
        if remembered and turn < 3:  # the noise that AMP claims is the error that its evidence has
            ratio = ((effective - codes[draws]).square().mean(dim=1) / variance).mean()
            assert ratio.item() == pytest.approx(1.0, abs=0.05)
        posterior = torch.softmax(effective @ codes.T / variance[:, None] + log_prior, dim=1)
        means = posterior @ codes
        belief.put(rows, positions, guessed, marginals, means)
        divergence = torch.zeros(40).index_add_(0, rows, 1.0 - means.square().sum(dim=1))
        if remembered:
            belief.memory = onsager(found, divergence)
    assert least <= (posterior.argmax(dim=1) == draws).float().mean().item() <= most
