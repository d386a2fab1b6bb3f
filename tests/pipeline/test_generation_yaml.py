"""generation/dvc.yaml against the stages' modules, the pipeline's artifacts and both files of params."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lexivert.generation.params import OVERRIDES, load_generation_params
from lexivert.params_check import check_generation_params
from lexivert.stages.__main__ import STAGES as MODULES
from lexivert.stages.__main__ import main
from lexivert.yaml_reader import read_yaml
from sections import REPOSITORY, repository_params

FOLDER = REPOSITORY / "generation"
STAGES = read_yaml(FOLDER / "dvc.yaml")["stages"]
MAIN = read_yaml(REPOSITORY / "dvc.yaml")["stages"]


def outputs(stage):
    entries = stage.get("outs", []) + stage.get("metrics", [])
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_every_stage_has_a_module_and_is_in_one_pipeline():
    assert set(STAGES) | set(MAIN) == set(MODULES)
    assert not set(STAGES) & set(MAIN)
    assert {name: stage["cmd"] for name, stage in STAGES.items()} == {
        name: f"python -m lexivert.stages {name} --root .. --params ../params.yaml" for name in STAGES
    }


def test_every_stage_depends_on_its_own_fingerprint_and_on_what_is_made():
    made = {f"../{out}" for stage in MAIN.values() for out in outputs(stage)}
    made |= {out for stage in STAGES.values() for out in outputs(stage)}
    for name, stage in STAGES.items():
        code = [dep for dep in stage["deps"] if "build/" in dep]
        assert code == [f"../build/code/{name}.txt"]
        assert {dep for dep in stage["deps"] if dep not in code} <= made


def test_what_is_measured_depends_on_every_trained_part():
    trained = {out for stage in STAGES.values() for out in outputs(stage) if out.startswith("../models/generation/")}
    assert len(trained) == len(STAGES) - 1
    assert trained <= set(STAGES["generate"]["deps"])


def test_no_output_is_made_twice():
    made = [out for stage in STAGES.values() for out in outputs(stage)]
    assert len(made) == len(set(made))


def test_a_copy_of_the_small_sizes_beside_the_params_replaces_some(tmp_path):
    shutil.copy(FOLDER / "params.yaml", tmp_path)
    full = load_generation_params(tmp_path / "params.yaml")
    shutil.copy(FOLDER / "params.quick.yaml", tmp_path / OVERRIDES)
    small = load_generation_params(tmp_path / "params.yaml")
    assert small.conditional.steps == 50 < full.conditional.steps
    assert small.conditional.max_tokens == full.conditional.max_tokens
    assert small.evaluation.texts < full.evaluation.texts


@pytest.mark.parametrize("name", STAGES)
def test_an_unknown_generator_is_refused_before_anything_is_made(tmp_path, capsys, tiny_params_file, name):
    check_generation_params(FOLDER / "params.yaml")
    content = (FOLDER / "params.yaml").read_text(encoding="utf-8")
    path = tmp_path / "generation" / "params.yaml"
    path.parent.mkdir()
    shutil.copy(FOLDER / "dvc.yaml", path.parent)
    for generator, code in (("nonsense", 1), ("hill_climbing", 0)):
        path.write_text(content.replace("generator: auto", f"generator: {generator}"), encoding="utf-8")
        if code == 0:
            check_generation_params(path)
            continue
        assert main([name, "--root", str(tmp_path), "--params", str(tiny_params_file)]) == 1
        assert f"error: {path}: generator is 'nonsense'; give one of auto, " in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.rglob("*")) == ["dvc.yaml", "generation", "params.yaml"]


@pytest.mark.parametrize("name", STAGES)
def test_declared_params_exist(name):
    own = load_generation_params(FOLDER / "params.yaml")
    for entry in STAGES[name]["params"]:
        if isinstance(entry, str):
            assert hasattr(own, entry)
            continue
        for key in entry["../params.yaml"]:
            value = repository_params()
            for part in key.split("."):
                value = getattr(value, part)


@pytest.mark.parametrize("name", STAGES)
def test_metrics_are_in_git_and_models_in_the_cache(name):
    for entry in STAGES[name].get("outs", []) + STAGES[name]["metrics"]:
        path = entry if isinstance(entry, str) else next(iter(entry))
        assert path.startswith("../metrics/") == (not isinstance(entry, str))
    assert f"../metrics/generation/{name}.json" in outputs(STAGES[name])
    assert Path(FOLDER / "params.yaml").is_file()
