"""dvc.yaml names every source file and every params section that a stage uses."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
DVC_YAML = yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))
STAGES = DVC_YAML["stages"]
PLUMBING = {"lexivert.artifacts", "lexivert.errors", "lexivert.config"}


def _file(module: str) -> Path | None:
    base = REPOSITORY / "src" / Path(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.exists()), None)


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.startswith("lexivert.") and _file(name)}


def _closure(path: Path) -> set[Path]:
    """Source files that a script loads, without the plumbing and packages that hold nothing but a docstring."""
    waiting, seen = _imports(path), set()
    while waiting:
        module = waiting.pop()
        if module not in seen | PLUMBING:
            seen.add(module)
            waiting |= _imports(_file(module))
    files = {_file(module) for module in seen}
    return {file for file in files if file.name != "__init__.py" or len(ast.parse(file.read_text()).body) > 1}


@pytest.mark.parametrize("stage", STAGES)
def test_deps_cover_every_import(stage):
    deps = [REPOSITORY / dep for dep in STAGES[stage]["deps"]]
    script = REPOSITORY / "pipeline" / f"{stage}.py"
    assert script in deps
    loaded = _closure(script)
    missing = sorted(
        str(file.relative_to(REPOSITORY)) for file in loaded if not any(file.is_relative_to(dep) for dep in deps)
    )
    assert missing == []


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_no_source_in_vain(stage):
    loaded = _closure(REPOSITORY / "pipeline" / f"{stage}.py")
    sources = [REPOSITORY / dep for dep in STAGES[stage]["deps"] if dep.startswith("src/")]
    unused = [str(dep) for dep in sources if not any(file.is_relative_to(dep) for file in loaded)]
    assert unused == []


def _outputs(stage: dict) -> list:
    return stage.get("outs", []) + stage.get("metrics", [])


def test_deps_of_the_experiment_cover_every_import():
    folder = REPOSITORY / "experiments"
    stage = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))["stages"]["losses"]
    deps = [(folder / dep).resolve() for dep in stage["deps"]]
    loaded = _closure(folder / "losses.py")
    missing = sorted(str(file) for file in loaded if not any(file.is_relative_to(dep) for dep in deps))
    assert missing == []


def test_every_artifact_is_written_by_one_earlier_stage():
    written: set[str] = set()
    for stage in STAGES.values():
        read = {dep for dep in stage["deps"] if dep.startswith(("data/", "models/", "metrics/"))}
        assert read <= written
        outs = {out if isinstance(out, str) else next(iter(out)) for out in _outputs(stage)}
        assert not outs & written
        written |= outs


def test_metrics_are_in_git_and_not_in_the_cache():
    for name, stage in STAGES.items():
        if name == "report":  # what it shows are the others' metrics
            continue
        assert stage["metrics"] == [{f"metrics/{name}.json": {"cache": False}}]
