from __future__ import annotations

import json

import pytest
import torch

from lexivert.artifacts import Paths
from lexivert.controller import storage
from lexivert.controller.confidence import Calibration
from lexivert.errors import LexivertError
from sections import section

CALIBRATION = Calibration((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), (1.0, 2.0, 3.0))


@pytest.fixture
def folder(tmp_path):
    storage.save(section("controller", amp={"rounds": 7}), CALIBRATION, tmp_path / "controller")
    return tmp_path / "controller"


def test_rules_and_calibration_come_back(folder):
    params, calibration = storage.read(folder)
    assert params == section("controller", amp={"rounds": 7})
    assert calibration == CALIBRATION
    assert [path.name for path in folder.parent.iterdir()] == ["controller"]


def test_damage_gives_one_line(folder):
    path = folder / storage.CONFIG
    content = json.loads(path.read_text())
    changes = [{}, [], {"params": content["params"]}, content | {"calibration": {"text": [1.0]}}]
    changes += [content | {"params": content["params"] | change} for change in ({"colour": 1}, {"amp": {}})]
    for change in changes:
        path.write_text(json.dumps(change))
        with pytest.raises(LexivertError, match=r"config\.json is damaged .*run `dvc repro controller`") as caught:
            storage.read(folder)
        assert "\n" not in str(caught.value)
    path.unlink()
    with pytest.raises(LexivertError, match="run `dvc repro controller` first"):
        storage.read(folder)
    with pytest.raises(LexivertError, match="controller is missing"):
        storage.read(folder.parent / "gone" / "controller")


def test_a_projects_parts_are_put_together(tiny_project):
    encoder, controller = storage.load_model(Paths(tiny_project), "cpu")
    params, calibration = storage.read(Paths(tiny_project).controller)
    assert (controller.parts.params, controller.calibration) == (params, calibration)
    assert controller.codebook.codes is encoder.codes is controller.parts.index.codes  # one copy
    least = controller.codebook.energies.min().item()
    assert controller.codebook.min_distance == pytest.approx(encoder.config.code.identity_share * least, rel=1e-3)
    assert controller.codebook.device == torch.device("cpu")
    with pytest.raises(LexivertError, match="'tpu'"):
        storage.load_model(Paths(tiny_project), "tpu")
