"""The second binding: circular convolution."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.bindings import BINDINGS, Binding
from lexivert.model import Lexivert

NAME = "circular_convolution"


@pytest.fixture
def make(plugin):
    plugin(NAME)
    return BINDINGS.make(NAME)


def normal(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def naive_convolution(one, other):
    """``(one ⊛ other)[k] = Σ_j one[j] · other[k - j]``."""
    width = len(one)
    return torch.stack([sum(one[j] * other[(k - j) % width] for j in range(width)) for k in range(width)])


@pytest.mark.parametrize("width", [8, 9])
def test_it_is_the_convolution_with_a_vector_of_the_position(make, width):
    """Bound to it, the neutral element of convolution shows a position's vector."""
    binding = make(width, 4, 0)
    assert isinstance(binding, Binding)
    code, neutral = normal(width), F.one_hot(torch.tensor(0), width).float()
    for position in range(4):
        where = torch.tensor([position])
        vector = binding.bind(neutral[None], where)[0]
        torch.testing.assert_close(binding.bind(code[None], where)[0], naive_convolution(code, vector))
        torch.testing.assert_close(torch.fft.fft(vector).abs(), torch.ones(width))


@pytest.mark.parametrize("width", [64, 65])
def test_unbind_undoes_bind_and_keeps_length(make, width):
    binding = make(width, 200, 3)
    codes, positions = normal(200, width), torch.arange(200)
    bound = binding.bind(codes, positions)
    torch.testing.assert_close(bound.norm(dim=1), codes.norm(dim=1))
    torch.testing.assert_close(binding.unbind(bound, positions), codes, atol=1e-5, rtol=1e-5)


def test_one_code_at_two_positions_is_nearly_orthogonal(make):
    """A code's own spectrum is not flat, which doubles the variance 1 / O of the cosine of two codes."""
    code = F.normalize(normal(1, 1664), dim=1).expand(193, -1)
    bound = make(1664, 193, 0).bind(code, torch.arange(193))
    assert (bound @ bound.T).fill_diagonal_(0.0).abs().max() < 5 * math.sqrt(2 / 1664)


def test_leading_dimensions_are_free_and_may_be_empty(make):
    binding = make(6, 5, 0)
    bound = binding.bind(normal(2, 3, 6), torch.tensor([[0, 1, 2], [3, 4, 0]]))
    torch.testing.assert_close(bound[1, 1], binding.bind(normal(2, 3, 6)[1, 1][None], torch.tensor([4]))[0])
    nothing = torch.empty(0, dtype=torch.int64)
    assert (
        binding.bind(torch.empty(0, 6), nothing).shape == binding.unbind(torch.empty(0, 6), nothing).shape == (0, 6)
    )


def test_the_seed_fixes_the_positions(make):
    code, position = normal(1, 16), torch.tensor([2])
    one, same, other = (make(16, 3, seed).bind(code, position) for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_end_to_end_every_text_is_read(extended, heldout_texts, tiny_model):
    """Codes are the same whatever binds them, so that index and controller alone are made again."""
    root = extended("binding", [NAME], {"code": {"binding": NAME}}, ["index", "controller"])
    model = Lexivert.load(root)
    vectors = model.encode(heldout_texts)
    readings = model.read(vectors)
    assert [reading.text for reading in readings] == heldout_texts
    assert all(reading.verified for reading in readings)
    plain = tiny_model.encode(heldout_texts)
    assert (
        abs((vectors[:, 32:] * plain[:, 32:]).sum(axis=1) / 0.6).max() < 0.5
    )  # other vectors than those of rotation
