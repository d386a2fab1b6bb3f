from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from lexivert.codes.hashing import identity_codes
from lexivert.config import ModelConfig
from lexivert.controller import storage
from lexivert.controller.confidence import Calibration
from lexivert.errors import LexivertError
from lexivert.priors.base import Prior
from lexivert.priors.selector import HELD, Context
from lexivert.search.faiss_index import UnitIndex, build
from lexivert.text.lexicon import RESERVED, Lexicon


@pytest.fixture
def parts(tiny_params):
    """ModelConfig, lexicon and index of a model with identity codes alone."""
    config = ModelConfig.of(tiny_params, 32)
    surfaces = (*RESERVED, "a", "b", "c")
    usage = np.arange(len(surfaces), 0, -1, dtype=np.int64)
    lexicon = Lexicon(surfaces, ("word",) * len(surfaces), usage, usage)
    codes = identity_codes(surfaces, config.order_width, config.seed).astype(np.float16)
    return config, lexicon, UnitIndex(codes, build(codes, tiny_params.index), tiny_params.index)


@pytest.fixture
def shape(parts, tiny_params):
    return storage.ControllerShape.of(parts[0], len(parts[1]), tiny_params)


CALIBRATION = Calibration((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7), (1.0, 2.0, 3.0))


def made(shape, lexicon, seed=3):
    """Prior as if trained."""
    selector = storage.new_selector(shape, seed)
    torch.nn.init.normal_(selector.query[-1].weight, generator=torch.Generator().manual_seed(seed))
    vectors = torch.randn(shape.units, shape.rank, generator=torch.Generator().manual_seed(seed))
    return Prior.learned(selector, vectors, torch.from_numpy(lexicon.log_prior()))


def test_shape_of_a_run(shape):
    assert asdict(shape) == {
        "order_width": 224,
        "semantic_width": 32,
        "positions": 97,
        "units": 265,
        "rank": 8,
        "width": 32,
        "reach": 2,
        "candidates": 4,
    }


def test_the_seed_fixes_a_new_controller_and_leaves_others_draws_alone(shape):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (storage.new_selector(shape, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_a_new_selector_asks_for_nothing(shape):
    units = torch.zeros(1, 3, dtype=torch.int64)
    context = Context.certain(units, torch.tensor([3]), torch.ones(1, 32), torch.ones(1))
    with torch.no_grad():
        assert not storage.new_selector(shape, seed=0)(context, torch.ones(1, 3, HELD, 8)).any()


def test_saved_and_loaded_it_is_the_same(parts, shape, tmp_path):
    """Unit vectors are kept as half floats."""
    prior = made(shape, parts[1])
    folder = tmp_path / "models" / "controller"
    storage.save(prior, CALIBRATION, shape, folder)
    loaded = storage.load(folder, *parts)
    before, after = dict(prior.selector.state_dict()), dict(loaded.proposer.prior.selector.state_dict())
    before["table"] = torch.cat((prior.table[:, :-1].half().float(), prior.table[:, -1:]), dim=1)
    after["table"] = loaded.proposer.prior.table
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert loaded.calibration == CALIBRATION
    assert loaded.proposer.candidates == 4
    assert not loaded.proposer.prior.selector.training
    assert loaded.codebook.min_distance == parts[0].code.identity_share
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    storage.save(loaded.proposer.prior, loaded.calibration, shape, folder)  # in place of the old one
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    assert [path.name for path in folder.parent.iterdir()] == ["controller"]


def test_damage_gives_one_line(parts, shape, tmp_path):
    folder = tmp_path / "controller"
    with pytest.raises(LexivertError, match="controller is missing; run `dvc repro controller` first"):
        storage.load(folder, *parts)
    storage.save(made(shape, parts[1]), CALIBRATION, shape, folder)
    whole, config = (folder / storage.WEIGHTS).read_bytes(), (folder / storage.CONFIG).read_text()
    for content in (b"", b"rubbish", whole[: len(whole) // 2]):
        (folder / storage.WEIGHTS).write_bytes(content)
        with pytest.raises(
            LexivertError, match=r"controller\.safetensors is damaged .*dvc repro controller"
        ) as caught:
            storage.load(folder, *parts)
        assert "\n" not in str(caught.value)
    (folder / storage.WEIGHTS).write_bytes(whole)
    content = json.loads(config)
    shapes = ({"width": 64}, {"width": "wide"}, {"colour": 1}, {"reach": 3}, {"reach": 0})
    changes = [content | {"shape": content["shape"] | change} for change in (*shapes, {"rank": 9})]
    changes += [{}, [], {"shape": content["shape"]}, content | {"calibration": {"text": [1.0]}}]
    for change in changes:
        (folder / storage.CONFIG).write_text(json.dumps(change))
        with pytest.raises(LexivertError, match="dvc repro controller") as caught:
            storage.load(folder, *parts)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("changes", [{"embed_dim": 230}, {"max_units": 95}])
def test_a_controller_of_another_layout_is_refused(parts, shape, tiny_params, tmp_path, changes):
    storage.save(made(shape, parts[1]), CALIBRATION, shape, tmp_path / "controller")
    code = tiny_params.code.model_copy(update=changes)
    config = ModelConfig.of(tiny_params.model_copy(update={"code": code}), 32)
    codes = parts[2].codes[:, : config.order_width]
    index = UnitIndex(codes, build(codes, tiny_params.index.model_copy(update={"search_dims": 0})), tiny_params.index)
    with pytest.raises(LexivertError, match="run `dvc repro"):
        storage.load(tmp_path / "controller", config, parts[1], index)


def test_a_controller_of_another_lexicon_is_refused(parts, shape, tiny_params, tmp_path):
    config, lexicon, index = parts
    storage.save(made(shape, lexicon), CALIBRATION, shape, tmp_path / "controller")
    fewer = Lexicon(lexicon.surfaces[:-1], lexicon.kinds[:-1], lexicon.counts[:-1], lexicon.usage[:-1])
    codes = index.codes[:-1]
    with pytest.raises(LexivertError, match="run `dvc repro"):
        storage.load(
            tmp_path / "controller",
            config,
            fewer,
            UnitIndex(codes, build(codes, tiny_params.index), tiny_params.index),
        )
