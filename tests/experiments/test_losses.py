"""The experiment on the token head's losses: its params, and one recipe measured on the tiny project."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys

import pytest

from lexivert.errors import LexivertError
from lexivert.yaml_reader import read_yaml
from sections import REPOSITORY


@pytest.fixture(scope="module")
def losses():
    spec = importlib.util.spec_from_file_location("experiment_losses", REPOSITORY / "experiments" / "losses.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # pydantic looks annotations up there
    spec.loader.exec_module(module)
    return module


def write(folder, **changes):
    folder.mkdir(exist_ok=True)
    (folder / "params.yaml").write_text("".join(f"{key}: {value}\n" for key, value in changes.items()))
    return folder


OWN = {"recipe": "only_contrastive", "seeds": 2, "epochs": 1, "texts": 2}


def test_the_committed_params_are_valid(losses):
    losses.RecipeParams.model_validate(read_yaml(REPOSITORY / "experiments" / "params.yaml"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 1}, r"experiments/params\.yaml: seeds: .*greater than or equal to 2, not 1$"),
        ({"sedes": 3}, r"experiments/params\.yaml: sedes: no such key; there are recipe, seeds, epochs, texts$"),
    ],
)
def test_wrong_params_are_one_line(losses, tmp_path, changes, message):
    with pytest.raises(LexivertError, match=message):
        losses.measure(write(tmp_path / "experiments", **OWN | changes))


def test_a_recipe_is_measured(losses, tiny_project, tiny_params_file, tmp_path):
    root = tmp_path / "project"
    shutil.copytree(tiny_project / "data", root / "data")
    shutil.copyfile(tiny_params_file, root / "params.yaml")
    losses.measure(write(root / "experiments", **OWN))
    figures = json.loads((root / "experiments" / "losses.json").read_text())
    assert figures["seeds"] == 2
    committed = read_yaml(REPOSITORY / "experiments" / "losses.json")  # JSON is YAML
    pairs = {name for name in committed if name.startswith(("synonym", "antonym"))}  # the tiny project has no maps
    assert figures.keys() == committed.keys() - pairs
