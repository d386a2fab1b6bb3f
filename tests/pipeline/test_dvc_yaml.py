"""dvc.yaml against the stages' modules: commands, code, artifacts, params."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexivert.artifacts import producer
from lexivert.stages.__main__ import STAGES as MODULES
from lexivert.yaml_reader import read_yaml
from sections import repository_params

REPOSITORY = Path(__file__).resolve().parents[2]
DVC_YAML = read_yaml(REPOSITORY / "dvc.yaml")
STAGES = DVC_YAML["stages"]
REST = {name: stage for name, stage in STAGES.items() if name != "code"}


def _outputs(stage: dict) -> list[str]:
    entries = stage.get("outs", []) + stage.get("metrics", [])
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def test_every_stage_has_a_module_and_every_module_a_stage():
    assert set(STAGES) <= set(MODULES)  # the others are those of generation/dvc.yaml
    assert {name: stage["cmd"] for name, stage in STAGES.items()} == {
        name: f"python -m lexivert.stages {name}" for name in STAGES
    }


def test_every_stage_depends_on_its_own_fingerprint_and_on_no_source():
    for name, stage in REST.items():
        code = [dep for dep in stage["deps"] if dep.startswith(("build/", "src", "benchmarks", "experiments"))]
        assert code == [f"build/code/{name}.txt"]


def test_fingerprints_depend_on_every_source():
    scripts = {
        str(path.relative_to(REPOSITORY))
        for folder in ("benchmarks", "experiments")
        for path in (REPOSITORY / folder).glob("*.py")
    }
    assert set(STAGES["code"]["deps"]) == {"src/lexivert", "requirements.lock"} | scripts


def test_every_artifact_is_written_by_one_earlier_stage():
    written: set[str] = set()
    for name, stage in REST.items():
        read = {dep for dep in stage["deps"] if dep.startswith(("data/", "models/", "metrics/"))}
        assert read <= written
        outs = set(_outputs(stage))
        assert not outs & written
        written |= outs
        unread = {
            "data/texts.txt",
            "models/lexivert",
            "metrics/report.html",
        }  # by other stages, so that no error names their stage
        named = {out for out in outs - unread if not out.startswith("metrics/plots/")}
        assert {producer(Path(out)) for out in named} == ({name} if named else set())


def test_errors_name_the_stage_that_writes_a_table():
    for name, stage in REST.items():
        read_by_report = set(_outputs(stage)) & set(STAGES["report"]["deps"])
        assert {producer(Path(out)) for out in read_by_report} <= {name}


@pytest.mark.parametrize("name", REST)
def test_declared_params_exist(name):
    for key in REST[name].get("params", []):
        value = repository_params()
        for part in key.split("."):
            value = getattr(value, part)


def test_every_param_is_declared_by_a_stage():
    declared = {key.partition(".")[0] for stage in STAGES.values() for key in stage.get("params", [])}
    assert declared == set(type(repository_params()).model_fields)


def test_metrics_are_in_git_and_not_in_the_cache():
    for name, stage in REST.items():
        kept = [entry for entry in stage.get("outs", []) + stage.get("metrics", []) if not isinstance(entry, str)]
        assert all(options == {"cache": False} for entry in kept for options in entry.values())
        in_git = {path for entry in kept for path in entry}
        assert in_git == {out for out in _outputs(stage) if out.startswith("metrics/") and not out.endswith(".html")}
        if name not in {"texts", "report"}:  # one measures nothing, what the other shows are the others' metrics
            assert f"metrics/{name}.json" in in_git
