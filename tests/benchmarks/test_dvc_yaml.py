"""benchmarks/dvc.yaml against the scripts, the pipeline's artifacts and params."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lexivert.yaml_reader import read_yaml
from sections import repository_params

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "benchmarks"
STAGES = read_yaml(FOLDER / "dvc.yaml")["stages"]
PARAMS = read_yaml(FOLDER / "params.yaml")
SHARED = {"against", "common"}
"""Modules that are no benchmark."""
ON_A_GPU = {"accelerator", "vec2text_loop"}
"""Which no stage may need."""


def script_of(stage: dict) -> str:
    return re.match(r"python (\w+)\.py ", stage["cmd"])[1]


def test_every_benchmark_has_a_stage():
    scripts = {path.stem for path in FOLDER.glob("*.py")}
    assert {script_of(stage) for stage in STAGES.values()} == scripts - SHARED - ON_A_GPU


@pytest.mark.parametrize("name", STAGES)
def test_code_is_the_scripts_fingerprint_and_that_of_what_it_imports_beside_it(name):
    script = script_of(STAGES[name])
    source = (FOLDER / f"{script}.py").read_text(encoding="utf-8")
    beside = {path.stem for path in FOLDER.glob("*.py")}
    imported = set(re.findall(r"^from (\w+) import", source, re.MULTILINE)) & beside - {"against"}
    code = {dep for dep in STAGES[name]["deps"] if dep.startswith("../build/code/benchmarks/")}
    assert code == {f"../build/code/benchmarks/{module}.txt" for module in {script, *imported}}
    assert not [dep for dep in STAGES[name]["deps"] if dep.endswith(".py") or "/src" in dep]


def test_artifacts_are_outputs_of_the_pipeline():
    outs = {
        out
        for stage in read_yaml(REPOSITORY / "dvc.yaml")["stages"].values()
        for out in stage.get("outs", [])
        if isinstance(out, str)
    }
    read = {dep.removeprefix("../") for stage in STAGES.values() for dep in stage["deps"]}
    assert {dep for dep in read if not dep.startswith("build/")} <= outs


@pytest.mark.parametrize("name", STAGES)
def test_figures_are_a_metric_in_git_and_the_commands_output(name):
    path = f"../metrics/benchmarks/{name}.json"
    assert STAGES[name]["metrics"] == [{path: {"cache": False}}]
    assert STAGES[name]["cmd"].endswith(f"--out {path}")
    assert "outs" not in STAGES[name]


@pytest.mark.parametrize("name", STAGES)
def test_params_are_declared_and_used(name):
    used = {key.partition(".")[0] for key in re.findall(r"\$\{([^}]*)\}", STAGES[name]["cmd"])}
    declared = {entry for entry in STAGES[name]["params"] if isinstance(entry, str)}
    assert used == declared
    for key in re.findall(r"\$\{(\w+)\.(\w+)\}", STAGES[name]["cmd"]):
        assert key[1] in PARAMS[key[0]]
    shared = [entry["../params.yaml"] for entry in STAGES[name]["params"] if not isinstance(entry, str)]
    assert all(hasattr(repository_params(), section) for sections in shared for section in sections)


def test_every_param_is_used():
    commands = " ".join(stage["cmd"] for stage in STAGES.values())
    assert set(re.findall(r"\$\{([^}]*)\}", commands)) == {
        f"{section}.{key}" for section, keys in PARAMS.items() if isinstance(keys, dict) for key in keys
    } | {section for section, keys in PARAMS.items() if not isinstance(keys, dict)}
