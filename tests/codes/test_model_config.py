from __future__ import annotations

import json

import pytest
import torch

from lexivert.codes.model_config import FILE, ModelConfig
from lexivert.errors import LexivertError


def test_layout_of_a_run(tiny_params):
    config = ModelConfig.of(tiny_params, 32)
    assert config.order_width == 256 - 32
    assert config.seed == tiny_params.seed
    binding = config.binding()
    assert (binding.width, binding.positions) == (224, 97)


@pytest.mark.parametrize(("width", "left"), [(31, 225), (256, 0), (300, -44)])
def test_the_order_part_must_be_even_and_there(tiny_params, width, left):
    with pytest.raises(LexivertError, match=rf"code\.embed_dim 256 leaves {left} dimensions beside .* {width}"):
        ModelConfig.of(tiny_params, width)


def test_saved_and_loaded_it_is_the_same(tiny_params, tmp_path):
    config = ModelConfig.of(tiny_params, 32)
    config.save(tmp_path)
    loaded = ModelConfig.load(tmp_path)
    assert loaded == config
    code, positions = torch.ones(1, 224), torch.tensor([5])
    assert torch.equal(loaded.binding().bind(code, positions), config.binding().bind(code, positions))


def test_a_damaged_layout_gives_one_line(tiny_params, tmp_path):
    with pytest.raises(LexivertError, match=r"config\.json is missing"):
        ModelConfig.load(tmp_path)
    ModelConfig.of(tiny_params, 32).save(tmp_path)
    content = json.loads((tmp_path / FILE).read_text())
    for wrong in ({}, content | {"semantic_width": 0}, content | {"seed": "x"}, content | {"more": 1}, []):
        (tmp_path / FILE).write_text(json.dumps(wrong))
        with pytest.raises(LexivertError, match="dvc repro index") as caught:
            ModelConfig.load(tmp_path)
        assert "\n" not in str(caught.value)
