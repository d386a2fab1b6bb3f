"""Stages ``selector_placer`` and ``soft_prompt`` on a tiny project."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from ruamel.yaml import YAML

from lexivert.artifacts import Paths
from lexivert.errors import LexivertError
from lexivert.generation import prompted_generator, selector_placer
from lexivert.generation.in_units import InUnits
from lexivert.generation.prompted_generator import PromptedGenerator
from lexivert.language_model import storage
from lexivert.model import Lexivert
from lexivert.stages import selector_placer as insertion_stage
from lexivert.stages import soft_prompt as prompt_stage
from lexivert.yaml_reader import overridden, read_yaml

SMALL = {
    "selector_placer": {
        "hidden_dim": 16,
        "layers": 1,
        "heads": 2,
        "batch_size": 8,
        "steps": 30,
        "always": 50,
        "drawn": 50,
    },
    "soft_prompt": {"prompt_tokens": 2, "batch_size": 8, "steps": 20, "learning_rate": 1.0e-2},
}


@pytest.fixture
def paths(generation_project, tmp_path):
    """A copy of the project, where training takes seconds."""
    shutil.copytree(generation_project.root, tmp_path / "project")
    change(Paths(tmp_path / "project"), SMALL)
    return Paths(tmp_path / "project")


def change(paths, changes):
    file = paths.root / "generation" / "params.yaml"
    YAML(typ="safe", pure=True).dump(overridden(read_yaml(file), changes), file)


def files(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_selector_and_placer_learn_and_write(paths, tiny_params):
    insertion_stage.run(paths, tiny_params)
    report = json.loads(paths.metrics("generation/selector_placer").read_text(encoding="utf-8"))
    curves = pd.read_csv(paths.metrics("generation/selector_placer").with_suffix(".csv"))
    assert report["train_sentences"] > 50
    assert curves["step"].tolist() == [10, 20, 30]
    assert {"loss", "selection", "placement", "open", "wrong"} <= set(curves.columns)
    assert curves.notna().all(axis=None)
    assert not (paths.checkpoints / "selector_placer").exists()
    folder = paths.generation / selector_placer.FOLDER
    written = files(folder)
    change(paths, {"generator": "selector_placer"})
    model = Lexivert.load(paths.root)
    assert isinstance(model.generator, InUnits)
    (found,) = model.generate(model.encode(["The old captain saw the river."]), effort="draft", prefix="The")
    assert found.text.startswith("The")
    insertion_stage.run(paths, tiny_params)
    assert files(folder) == written


def test_a_language_model_learns_its_prompt_and_writes(paths, tiny_params):
    prompt_stage.run(paths, tiny_params)
    report = json.loads(paths.metrics("generation/soft_prompt").read_text(encoding="utf-8"))
    assert report["train_sentences"] > 50
    folder = paths.generation / prompted_generator.FOLDER
    written = files(folder)
    change(paths, {"generator": "soft_prompt"})
    model = Lexivert.load(paths.root)
    assert isinstance(model.generator, PromptedGenerator)
    assert len(model.generate([[1.0] * 32], effort="draft")) == 1
    prompt_stage.run(paths, tiny_params)  # the shared language model has not changed
    assert files(folder) == written


def test_without_steps_nothing_is_fine_tuned(paths, tiny_params):
    change(paths, {"soft_prompt": {"steps": 0}})
    prompt_stage.run(paths, tiny_params)
    assert json.loads(paths.metrics("generation/soft_prompt").read_text(encoding="utf-8")) == {"train_sentences": 0}
    change(paths, {"generator": "soft_prompt"})
    with pytest.raises(LexivertError, match="nothing was trained"):
        _ = Lexivert.load(paths.root).generator


def test_without_a_language_model_it_says_so(paths, tiny_params):
    storage.write(storage.NONE, paths.language_model)
    with pytest.raises(LexivertError, match="stage soft_prompt needs a language model"):
        prompt_stage.run(paths, tiny_params)


def test_an_unknown_generator_is_named(paths):
    change(paths, {"generator": "mine"})
    with pytest.raises(LexivertError, match="there is no generator 'mine'"):
        _ = Lexivert.load(paths.root).generator
