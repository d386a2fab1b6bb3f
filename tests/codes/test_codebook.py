from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.codes.superposition import superpose
from lexivert.text.lexicon import EOS

CODES = F.normalize(torch.randn(12, 16, generator=torch.Generator().manual_seed(0)), dim=1).half()
BINDING = RotaryBinding(16, 7, seed=0)
CODEBOOK = Codebook(CODES, torch.full((12,), -2.0), BINDING, min_distance=0.6, semantic_share=0.4)


def test_sizes():
    assert len(CODEBOOK) == 12
    assert CODEBOOK.width == 16
    assert CODEBOOK.device == torch.device("cpu")


def test_the_code_of_eos_at_every_position():
    assert CODEBOOK.eos_codes.shape == (7, 16)
    for position, found in enumerate(CODEBOOK.eos_codes):
        expected = BINDING.bind(CODES[EOS].float()[None], torch.tensor([position]))[0]
        torch.testing.assert_close(found, expected)


def test_eos_stands_out_of_a_longer_text_as_far_as_of_a_short_one():
    longer = replace(CODEBOOK, eos_nats=4.0)
    assert longer.eos_energies.tolist() == pytest.approx([1.0, 1.0, 1.0, 1.5, 2.0, 2.5, 3.0], rel=1e-3)
    torch.testing.assert_close(longer.eos_codes.square().sum(dim=1), longer.eos_energies, rtol=1e-3, atol=0)
    empty, text = longer.superpose([[], [3, 4, 5, 6]])
    torch.testing.assert_close(empty, longer.eos_codes[0])
    units = BINDING.bind(CODES[[3, 4, 5, 6]].float(), torch.arange(4)).sum(dim=0)
    torch.testing.assert_close(text, units + longer.eos_codes[4])
    torch.testing.assert_close(CODEBOOK.superpose([[3, 4]]), superpose([[3, 4]], CODES, BINDING))


def test_embeddings_are_single_precision_codes_and_those_of_no_unit_are_unit_0s():
    units = torch.tensor([[3, -1], [11, 0]])
    embedded = CODEBOOK.embed(units)
    assert embedded.dtype == torch.float32
    assert torch.equal(embedded, CODES[[3, 0, 11, 0]].float().view(2, 2, 16))


def test_moved_to_a_device_all_its_tensors_are_there():
    """The meta device computes nothing, but it refuses what lies elsewhere."""
    moved = CODEBOOK.to("meta")
    assert (moved.codes.device.type, moved.log_prior.device.type) == ("meta", "meta")
    assert (moved.min_distance, moved.semantic_share) == (0.6, 0.4)
    assert moved.eos_codes.device.type == "meta"
    assert moved.eos_codes.shape == (7, 16)
