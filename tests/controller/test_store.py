from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from lexivert.controller import store
from lexivert.encoder.identity import identity_codes
from lexivert.encoder.layout import Layout
from lexivert.errors import LexivertError
from lexivert.index.faiss_index import UnitIndex, build
from lexivert.lexicon.units import RESERVED, Lexicon


@pytest.fixture
def parts(tiny_params):
    """Layout, lexicon and index of a model with identity codes alone."""
    layout = Layout.of(tiny_params, 32)
    surfaces = (*RESERVED, "a", "b", "c")
    usage = np.arange(len(surfaces), 0, -1, dtype=np.int64)
    lexicon = Lexicon(surfaces, ("word",) * len(surfaces), usage, usage)
    codes = identity_codes(surfaces, layout.order_width, layout.seed).astype(np.float16)
    return layout, lexicon, UnitIndex(codes, build(codes, tiny_params.index), tiny_params.index)


@pytest.fixture
def shape(parts, tiny_params):
    return store.ControllerShape.of(parts[0], tiny_params.controller)


def weights(proposer):
    modules = {"selector": proposer.selector, "placer": proposer.placer}
    return {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}


def test_shape_of_a_run(shape):
    assert asdict(shape) == {
        "order_width": 224,
        "semantic_width": 32,
        "positions": 97,
        "width": 32,
        "layers": 1,
        "heads": 2,
        "placer_width": 16,
        "placer_layers": 1,
        "candidates": 4,
    }


def test_the_seed_fixes_a_new_controller_and_leaves_others_draws_alone(parts, shape):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (weights(store.new_proposer(shape, *parts, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_saved_and_loaded_it_is_the_same(parts, shape, tmp_path):
    proposer = store.new_proposer(shape, *parts, seed=3)
    torch.nn.init.normal_(proposer.selector.prior.weight)
    folder = tmp_path / "models" / "controller"
    store.save(proposer, shape, folder)
    loaded = store.load(folder, *parts)
    before, after = weights(proposer), weights(loaded)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.candidates == 4
    assert not loaded.selector.training
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    store.save(loaded, shape, folder)  # in place of the old one
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    assert [path.name for path in folder.parent.iterdir()] == ["controller"]


def test_damage_gives_one_line(parts, shape, tmp_path):
    folder = tmp_path / "controller"
    with pytest.raises(LexivertError, match="controller is missing; run `dvc repro controller` first"):
        store.load(folder, *parts)
    store.save(store.new_proposer(shape, *parts, seed=3), shape, folder)
    whole, config = (folder / store.WEIGHTS).read_bytes(), (folder / store.CONFIG).read_text()
    for content in (b"", b"rubbish", whole[: len(whole) // 2]):
        (folder / store.WEIGHTS).write_bytes(content)
        with pytest.raises(
            LexivertError, match=r"controller\.safetensors is damaged .*dvc repro controller"
        ) as caught:
            store.load(folder, *parts)
        assert "\n" not in str(caught.value)
    (folder / store.WEIGHTS).write_bytes(whole)
    for change in ({"width": 64}, {"width": "wide"}, {"heads": 3}, {"colour": 1}, {"layers": 2}, {"layers": 0}):
        (folder / store.CONFIG).write_text(json.dumps(json.loads(config) | change))
        with pytest.raises(LexivertError, match="dvc repro controller") as caught:
            store.load(folder, *parts)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"embed_dim": 230}, {"max_units": 95}])
def test_a_controller_of_another_layout_is_refused(parts, shape, tiny_params, tmp_path, changes):
    store.save(store.new_proposer(shape, *parts, seed=3), shape, tmp_path / "controller")
    code = tiny_params.code.model_copy(update=changes)
    layout = Layout.of(tiny_params.model_copy(update={"code": code}), 32)
    codes = parts[2].codes[:, : layout.order_width]
    index = UnitIndex(codes, build(codes, tiny_params.index.model_copy(update={"search_dims": 0})), tiny_params.index)
    with pytest.raises(LexivertError, match="run `dvc repro"):
        store.load(tmp_path / "controller", layout, parts[1], index)
