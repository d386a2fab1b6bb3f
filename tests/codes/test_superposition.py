from __future__ import annotations

import torch

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.superposition import flatten, join_parts, split_parts, superpose
from lexivert.text.lexicon import EOS


def random_codes(count, width):
    codes = torch.randn(count, width, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.normalize(codes, dim=1)


def test_flatten_adds_an_end_to_every_text():
    rows, positions, units = flatten([[7, 8], [], [9]])
    assert rows.tolist() == [0, 0, 0, 1, 2, 2]
    assert positions.tolist() == [0, 1, 2, 0, 0, 1]
    assert units.tolist() == [7, 8, EOS, EOS, 9, EOS]


def test_flatten_of_nothing():
    assert [part.tolist() for part in flatten([])] == [[], [], []]


def test_superpose_is_the_sum_of_bound_codes():
    codes, binding = random_codes(10, 16), RotaryBinding(16, 6, seed=0)
    texts = [[3, 4, 3], [], [9, 1, 2, 5, 8]]
    for text, row in zip(texts, superpose(texts, codes, binding), strict=True):
        expected = torch.zeros(16)
        for position, unit in enumerate([*text, EOS]):
            expected += binding.bind(codes[unit][None], torch.tensor([position]))[0]
        torch.testing.assert_close(row, expected)
    torch.testing.assert_close(superpose([[]], codes, binding)[0], codes[EOS])


def test_order_matters():
    codes, binding = random_codes(10, 64), RotaryBinding(64, 6, seed=0)
    one, other = superpose([[3, 4], [4, 3]], codes, binding)
    assert torch.cosine_similarity(one, other, dim=0) < 0.7


def test_half_precision_codes_are_summed_in_single():
    codes, binding = random_codes(10, 16), RotaryBinding(16, 6, seed=0)
    result = superpose([[1, 2]], codes.half(), binding)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result, superpose([[1, 2]], codes.half().float(), binding))


def test_parts_are_weighted_by_energy():
    vector = join_parts(torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 5.0, 0.0]]), 0.36)
    torch.testing.assert_close(vector, torch.tensor([[0.36, 0.48, 0.0, 0.8, 0.0]]))


def test_split_undoes_join():
    vector = torch.tensor([[0.36, 0.48, 0.0, 0.8, 0.0], [0.0, 0.0, 0.0, 0.0, 2.0]])
    semantic, order = split_parts(vector, 2)
    torch.testing.assert_close(semantic, torch.tensor([[0.6, 0.8], [0.0, 0.0]]))
    torch.testing.assert_close(order, torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]))
