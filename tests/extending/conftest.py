"""Plug-ins from files outside the package, and projects that are built with them on the tiny corpus."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ruamel.yaml import YAML

from lexivert import plugins
from lexivert.artifacts import Paths
from lexivert.data.segments import read_encoded_texts
from lexivert.stages.__main__ import run_stages
from lexivert.yaml_reader import overridden, read_yaml

PLUGINS = Path(__file__).parent / "plugins"
CHEAP = {"controller": {"calibration_texts": 20, "cascade": {"restarts": []}}}
"""Calibration decodes noisy texts; restarts would take most of its time."""


def plugin_module(name: str) -> ModuleType:
    """The module of a plug-in that ``plugins.load`` has imported."""
    (module,) = plugins.load([PLUGINS / f"{name}.py"])
    return module


@pytest.fixture(scope="session")
def plugin() -> Callable[[str], ModuleType]:
    """A plug-in's module by its file's name."""
    return plugin_module


@pytest.fixture(scope="session")
def extended(
    make_once: Callable[..., Path], tiny_project: Path, tiny_params_file: Path
) -> Callable[[str, Sequence[str], dict[str, Any], Sequence[str]], Path]:
    """Make a project with plug-ins: a copy of the tiny one, its params changed, some stages run again.

    The plug-ins stand in the project's folder, as a user's do, and its params name them there.
    """

    def made(name: str, files: Sequence[str], changes: dict[str, Any], stages: Sequence[str]) -> Path:
        def make(root: Path) -> None:
            shutil.copytree(tiny_project, root, dirs_exist_ok=True)
            own = [f"{file}.py" for file in files]
            for file in own:
                shutil.copy(PLUGINS / file, root)
            content = overridden(overridden(read_yaml(tiny_params_file), CHEAP), changes)
            YAML(typ="safe", pure=True).dump(content | {"plugins": own}, root / "params.yaml")
            run_stages(stages, root, root / "params.yaml")

        return make_once(f"extended_{name}", make)

    return made


@pytest.fixture(scope="session")
def heldout_texts(tiny_project: Path) -> list[str]:
    """Sentences of test documents."""
    return read_encoded_texts(Paths(tiny_project), "test").texts
