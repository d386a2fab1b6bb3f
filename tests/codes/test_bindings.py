from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lexivert.codes.bindings import BINDINGS, Binding, RotaryBinding, binding_of
from lexivert.config import ModelConfig
from lexivert.errors import LexivertError


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def test_position_zero_leaves_a_code_alone():
    binding = RotaryBinding(8, 3, seed=0)
    code = random(1, 8)
    torch.testing.assert_close(binding.bind(code, torch.tensor([0])), code)


def test_a_pair_turns_by_angle_times_position():
    binding = RotaryBinding(2, 5, seed=0)
    x, y = binding.bind(torch.tensor([[1.0, 0.0]]), torch.tensor([1]))[0].tolist()
    angle = math.atan2(y, x)
    assert math.hypot(x, y) == pytest.approx(1.0, abs=1e-6)
    turned = binding.bind(torch.tensor([[1.0, 0.0]]), torch.tensor([3]))[0]
    expected = [math.cos(3 * angle), math.sin(3 * angle)]
    np.testing.assert_allclose(turned.numpy(), expected, atol=1e-5)


def test_the_fast_rotation_is_the_matrix_product():
    binding = RotaryBinding(6, 4, seed=2)
    code = random(6)
    basis = torch.eye(6)
    for position in range(4):
        columns = binding.bind(basis, torch.full((6,), position)).T
        torch.testing.assert_close(binding.bind(code[None], torch.tensor([position]))[0], columns @ code)
        torch.testing.assert_close(columns.T @ columns, torch.eye(6), atol=1e-5, rtol=0)


def test_unbind_undoes_bind_and_keeps_length():
    binding = RotaryBinding(64, 200, seed=3)
    codes, positions = random(200, 64), torch.arange(200)
    bound = binding.bind(codes, positions)
    torch.testing.assert_close(bound.norm(dim=1), codes.norm(dim=1))
    torch.testing.assert_close(binding.unbind(bound, positions), codes, atol=1e-5, rtol=1e-5)


def test_leading_dimensions_are_free():
    binding = RotaryBinding(4, 5, seed=0)
    codes, positions = random(2, 3, 4), torch.tensor([[0, 1, 2], [3, 4, 0]])
    bound = binding.bind(codes, positions)
    assert bound.shape == (2, 3, 4)
    torch.testing.assert_close(bound[1, 1], binding.bind(codes[1, 1][None], torch.tensor([4]))[0])


def test_one_code_at_two_positions_is_nearly_orthogonal():
    binding = RotaryBinding(1664, 193, seed=0)
    code = torch.nn.functional.normalize(random(1, 1664), dim=1).expand(193, -1)
    bound = binding.bind(code, torch.arange(193))
    cosines = (bound @ bound.T).fill_diagonal_(0.0)
    assert cosines.abs().max() < 5 / math.sqrt(1664)


def test_the_seed_fixes_the_angles():
    code, position = random(1, 16), torch.tensor([2])
    one, same, other = (RotaryBinding(16, 3, seed).bind(code, position) for seed in (5, 5, 6))
    assert torch.equal(one, same)
    assert not torch.allclose(one, other)


def test_angles_do_not_depend_on_how_many_positions_are_tabulated():
    code, position = random(1, 16), torch.tensor([2])
    few, many = (RotaryBinding(16, positions, 5).bind(code, position) for positions in (3, 100))
    assert torch.equal(few, many)


def test_odd_widths_are_refused():
    with pytest.raises(ValueError, match="7 wide; rotation needs an even width"):
        RotaryBinding(7, 3, seed=0)


def test_nothing_to_bind():
    binding = RotaryBinding(6, 4, seed=2)
    nothing = torch.empty(0, dtype=torch.int64)
    assert binding.bind(torch.empty(0, 6), nothing).shape == (0, 6)
    assert binding.unbind(torch.empty(0, 6), nothing).shape == (0, 6)


def test_a_model_has_the_binding_that_it_names(tiny_params):
    """D = 256 with a prefix of 32; 96 units and EOS; the model's seed."""
    config = ModelConfig.of(tiny_params, 32)
    binding = binding_of(config)
    assert isinstance(binding, Binding)
    assert isinstance(binding, RotaryBinding)
    assert (binding.width, binding.positions) == (224, 97)
    code, position = random(1, 224), torch.tensor([96])
    expected = RotaryBinding(224, 97, tiny_params.seed).bind(code, position)
    assert torch.equal(binding.bind(code, position), expected)


def test_a_binding_that_nobody_registered(tiny_params):
    code = tiny_params.code.model_copy(update={"binding": "wave"})
    config = ModelConfig.of(tiny_params.model_copy(update={"code": code}), 32)
    with pytest.raises(LexivertError, match="there is no binding 'wave', but rotary") as caught:
        binding_of(config)
    assert "plugins" in str(caught.value)
    assert BINDINGS["rotary"].label == "rotation"


def test_a_binding_works_where_the_codes_are_and_goes_on_doing_so():
    """The meta device computes nothing, but it refuses what lies elsewhere."""
    binding = RotaryBinding(8, 3, seed=0)
    code, position = random(2, 8), torch.tensor([1, 2])
    before = binding.bind(code, position)
    assert binding.bind(code.to("meta"), position.to("meta")).device.type == "meta"
    assert torch.equal(binding.bind(code, position), before)
