from __future__ import annotations

import json

import pytest
import torch

from lexivert.encoder.layout import FILE, Layout
from lexivert.errors import LexivertError


def test_layout_of_a_run(tiny_params):
    layout = Layout.of(tiny_params, 32)
    assert layout.order_width == 256 - 32
    assert layout.seed == tiny_params.seed
    binding = layout.binding()
    assert (binding.width, binding.positions) == (224, 97)


@pytest.mark.parametrize(("width", "left"), [(31, 225), (256, 0), (300, -44)])
def test_the_order_part_must_be_even_and_there(tiny_params, width, left):
    with pytest.raises(LexivertError, match=rf"code\.embed_dim 256 leaves {left} dimensions beside .* {width}"):
        Layout.of(tiny_params, width)


def test_saved_and_loaded_it_is_the_same(tiny_params, tmp_path):
    layout = Layout.of(tiny_params, 32)
    layout.save(tmp_path)
    loaded = Layout.load(tmp_path)
    assert loaded == layout
    code, positions = torch.ones(1, 224), torch.tensor([5])
    assert torch.equal(loaded.binding().bind(code, positions), layout.binding().bind(code, positions))


def test_a_damaged_layout_gives_one_line(tiny_params, tmp_path):
    with pytest.raises(LexivertError, match=r"config\.json is missing"):
        Layout.load(tmp_path)
    Layout.of(tiny_params, 32).save(tmp_path)
    content = json.loads((tmp_path / FILE).read_text())
    for wrong in ({}, content | {"semantic_width": 0}, content | {"seed": "x"}, content | {"more": 1}, []):
        (tmp_path / FILE).write_text(json.dumps(wrong))
        with pytest.raises(LexivertError, match="dvc repro index") as caught:
            Layout.load(tmp_path)
        assert "\n" not in str(caught.value)
