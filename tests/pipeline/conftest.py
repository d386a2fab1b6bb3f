"""A throw-away copy of this project with a tiny corpus and backbone, run by DVC as a user would."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

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
        output = process.communicate(timeout=600)[0]
        return process.returncode, output

    def repro(self, *arguments: str) -> str:
        code, output = self.run(sys.executable, "-m", "dvc", "repro", *arguments)
        assert code == 0, output
        return output

    def stage(self, name: str, root: Path, params: Path | None = None) -> tuple[str, ...]:
        """The command of a stage that works in another folder."""
        return (sys.executable, f"pipeline/{name}.py", "--root", str(root), "--params", str(params or self.params))

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def stages(self) -> dict[str, dict]:
        return yaml.safe_load((self.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

    def sources(self, stage: str) -> list[str]:
        """The artifacts that a stage declares to read."""
        return [path for path in self.stages[stage]["deps"] if path.startswith(("data/", "models/", "metrics/"))]

    def products(self, stage: str) -> list[str]:
        """The files and folders that a stage declares to write."""
        entries = self.stages[stage].get("outs", []) + self.stages[stage].get("metrics", [])
        return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]

    def change(self, **values: object) -> None:
        """Set params by dotted key, ``__`` for the dot."""
        content = yaml.safe_load(self.params.read_text(encoding="utf-8"))
        for dotted, value in values.items():
            *sections, name = dotted.split("__")
            section = content
            for part in sections:
                section = section[part]
            section[name] = value
        self.params.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


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
def _built() -> dict[str, Project]:
    return {}


@pytest.fixture
def project(_built: dict[str, Project], tiny_params_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The copy, reproduced once; its params are put back before every test."""
    if not _built:
        root = tmp_path_factory.mktemp("project")
        copy_sources(root)
        shutil.copyfile(tiny_params_file, root / "params.yaml")
        fresh = Project(root)
        fresh.repro()
        shutil.copyfile(fresh.params, root / "params.original")
        _built["project"] = fresh
    copy = _built["project"]
    shutil.copyfile(copy.root / "params.original", copy.params)
    return copy


@pytest.fixture
def sandbox(project: Project, tmp_path: Path):
    """Makes folders that hold only the given artifacts of the project."""

    def make(name: str, artifacts: list[str]) -> Path:
        root = tmp_path / name
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
def hashes():
    """SHA-256 of every file below the named files and folders of a root."""

    def digest(root: Path, names: list[str]) -> dict[str, str]:
        found = [path for name in names for path in [root / name, *(root / name).rglob("*")]]
        files = sorted(path for path in found if path.is_file())
        return {str(file.relative_to(root)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}

    return digest
