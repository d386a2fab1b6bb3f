"""A throw-away copy of this project with a tiny corpus and backbone, run by DVC as a user would."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from lexivert.stages.__main__ import main, run_stages
from lexivert.yaml_reader import overridden, read_yaml

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Project:
    """A project folder and its commands."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root / "src"),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.root / ".dvc" / "site"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",  # everything here is tiny
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            command,
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Exit code and everything that was printed."""
        process = self.start(*command)
        output = process.communicate()[0]
        return process.returncode, output

    def repro(self, *arguments: str) -> str:
        code, output = self.run(sys.executable, "-m", "dvc", "repro", *arguments)
        assert code == 0, output
        return output

    def command(self, stage: str, root: Path) -> tuple[str, ...]:
        """What runs a stage in a process of its own, in another folder."""
        options = ("--root", str(root), "--params", str(self.params))
        return (sys.executable, "-m", "lexivert.stages", stage, *options)

    def run_here(self, stage: str, root: Path, params: Path | None = None) -> None:
        """Run a stage within this process, in another folder."""
        run_stages([stage], root, params or self.params)

    def fail_here(self, stage: str, root: Path) -> None:
        """Run a stage's command within this process and see it fail as a command does."""
        assert main([stage, "--root", str(root), "--params", str(self.params)]) == 1

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def lock(self) -> Path:
        return self.root / "dvc.lock"

    @cached_property
    def stages(self) -> dict[str, dict]:
        return read_yaml(self.root / "dvc.yaml")["stages"]

    def sources(self, stage: str) -> list[str]:
        """The artifacts that a stage declares to read."""
        return [path for path in self.stages[stage]["deps"] if path.startswith(("data/", "models/", "metrics/"))]

    def products(self, stage: str) -> list[str]:
        """The files and folders that a stage declares to write."""
        entries = self.stages[stage].get("outs", []) + self.stages[stage].get("metrics", [])
        return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]

    def change(self, **values: object) -> None:
        """Set params by dotted key, ``__`` for the dot."""
        content = read_yaml(self.params)
        for dotted, value in values.items():
            change = value
            for part in reversed(dotted.split("__")):
                change = {part: change}
            content = overridden(content, change)
        YAML(typ="safe", pure=True).dump(content, self.params)


def copy_sources(target: Path) -> None:
    """Copy what git tracks or would track, as it lies in the working tree, and make it a repository of its own."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        source = REPOSITORY / name
        if source.is_file() and not name.startswith(("metrics/", "dvc.lock")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / name)
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)


@pytest.fixture(scope="session")
def _project(
    tiny_params_file: Path, tiny_corpus_files: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Project:
    root = tmp_path_factory.mktemp("project")
    copy_sources(root)
    for file in tiny_corpus_files:
        shutil.copyfile(file, root / "texts" / file.name)
    shutil.copyfile(tiny_params_file, root / "params.yaml")
    fresh = Project(root)
    fresh.change(corpus__folder="texts")
    # All stages in one process, which DVC then takes over: a process each takes five times as long. `dvc repro` from
    # nothing is run by continuous integration, on the project itself.
    for command in (("-m", "lexivert.stages", *fresh.stages), ("-m", "dvc", "commit", "--force", *fresh.stages)):
        code, output = fresh.run(sys.executable, *command)
        assert code == 0, output
    for file in (fresh.params, fresh.lock):
        shutil.copyfile(file, file.with_suffix(".original"))
    return fresh


@pytest.fixture
def project(_project: Project) -> Project:
    """The copy, reproduced once; what a test has changed is put back before the next."""
    params, lock = _project.params, _project.lock
    shutil.copyfile(params.with_suffix(".original"), params)
    if lock.read_bytes() != lock.with_suffix(".original").read_bytes():
        _project.repro()  # from DVC's cache of runs
        assert lock.read_bytes() == lock.with_suffix(".original").read_bytes()
    return _project


@pytest.fixture
def sandbox(project: Project, tmp_path: Path) -> Callable[[str, list[str]], Path]:
    """Makes folders that hold only the given artifacts of the project."""

    def make(name: str, artifacts: list[str]) -> Path:
        root = tmp_path / name
        root.mkdir()
        for artifact in artifacts:
            source, target = project.root / artifact, root / artifact
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target)
            else:
                shutil.copyfile(source, target)
        return root

    return make


@pytest.fixture
def hashes() -> Callable[[Path, list[str]], dict[str, str]]:
    """SHA-256 of every file below the named files and folders of a root."""

    def digest(root: Path, names: list[str]) -> dict[str, str]:
        found = [path for name in names for path in [root / name, *(root / name).rglob("*")]]
        files = sorted(path for path in found if path.is_file())
        return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    return digest
