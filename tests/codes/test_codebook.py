from __future__ import annotations

import torch
import torch.nn.functional as F

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
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
