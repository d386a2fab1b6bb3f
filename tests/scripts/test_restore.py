"""The way back from an experiment that was ended in any state, with real git and DVC in a project of two stages."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = """
import json, sys, time
from pathlib import Path
name, value, seconds = sys.argv[1:]
Path("started").write_text(name)
time.sleep(float(seconds) if name == "train" else 0)
for folder in ("models", "metrics"):
    Path(folder).mkdir(exist_ok=True)
Path("models", name).write_text(value)
Path("metrics", f"{name}.json").write_text(json.dumps({"value": int(value)}))
"""
PIPELINE = """
stages:
  data:
    cmd: python step.py data ${value} ${seconds}
    deps: [step.py]
    outs: [models/data]
    metrics: [metrics/data.json: {cache: false}]
  train:
    cmd: python step.py train ${value} ${seconds}
    deps: [step.py, models/data]
    outs: [models/train]
    metrics: [metrics/train.json: {cache: false}]
"""
COMMITTED = {"params.yaml": "value: 1\nseconds: 0\n", "models/data": "1", "models/train": "1"}


class Project:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(root.parent / "site"),
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "user.name",
            "GIT_CONFIG_VALUE_0": "test",
            "GIT_CONFIG_KEY_1": "user.email",
            "GIT_CONFIG_VALUE_1": "test@example.org",
        }

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False
        )

    def must(self, *command: str) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self.must(sys.executable, "-m", "dvc", *arguments)

    def restore(self) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, "scripts/restore.py")

    def interrupt(self, number: int) -> None:
        """Begin an experiment, and end its DVC, and nothing else, while the second stage runs."""
        (self.root / "started").unlink(missing_ok=True)
        command = [sys.executable, "-m", "dvc", "exp", "run", "-S", "value=2", "-S", "seconds=300"]
        process = subprocess.Popen(
            command, cwd=self.root, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while self.state("started") != "train" and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        process.wait(timeout=60)
        assert process.returncode == -number

    def state(self, name: str) -> str:
        path = self.root / name
        return path.read_text() if path.is_file() else ""

    def is_committed_state(self) -> bool:
        files = {name: self.state(name) for name in COMMITTED}
        return self.must("git", "status", "--porcelain") == "" and files == COMMITTED

    def has_nothing_to_do(self) -> bool:
        return "up to date" in self.dvc("status")

    def stages(self) -> list[int]:
        """Processes of stages in this project."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                here = (folder / "cwd").resolve() == self.root and b"step.py" in (folder / "cmdline").read_bytes()
            except OSError:
                continue
            found += [int(folder.name)] * here
        return found


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("restore").resolve()
    made = Project(root)
    (root / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "restore.py", root / "scripts")
    (root / "step.py").write_text(STAGES)
    (root / "dvc.yaml").write_text(PIPELINE)
    (root / "params.yaml").write_text(COMMITTED["params.yaml"])
    (root / ".gitignore").write_text("/models/*\n/started\n")
    made.must("git", "init", "--quiet")
    made.dvc("init", "--quiet")
    made.dvc("repro", "--quiet")
    made.must("git", "add", "--all")
    made.must("git", "commit", "--quiet", "--message", "before")
    assert made.is_committed_state()
    return made


pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are seen in /proc")


def test_after_sigterm_the_stage_that_goes_on_is_ended_and_all_is_as_committed(project):
    project.interrupt(signal.SIGTERM)
    assert len(project.stages()) > 0  # DVC is gone, but its stage is not
    project.must("git", "restore", "params.yaml", "dvc.lock", "metrics")
    assert "M  dvc.lock" in project.must("git", "status", "--porcelain")  # since DVC has put it into git's index
    done = project.restore()
    assert done.returncode == 0, done.stderr
    assert "a stage that was still running" in done.stdout
    assert project.stages() == []
    assert project.is_committed_state()
    assert project.has_nothing_to_do()
    project.dvc("exp", "run", "-S", "value=3")  # the next one runs as ever
    assert project.state("models/train") == "3"
    assert project.restore().returncode == 0
    assert project.is_committed_state()


def test_after_sigkill_and_with_files_lost_or_damaged_too(project):
    project.interrupt(signal.SIGKILL)
    git = project.root / ".git"
    (git / "index.lock").touch()
    (project.root / ".dvc" / "tmp" / "rwlock").write_text("{")
    (project.root / "params.yaml").write_text("{")
    (project.root / "dvc.lock").unlink()
    shutil.rmtree(project.root / "metrics")
    (project.root / "models" / "data").write_text("half")
    assert project.restore().returncode == 0
    assert project.is_committed_state()
    assert project.has_nothing_to_do()


def test_sources_stay_as_they_were_edited(project):
    edited = STAGES + "# an idea\n"
    (project.root / "step.py").write_text(edited)
    project.must("git", "add", "step.py")
    (project.root / "params.yaml").write_text("value: 9\nseconds: 0\n")
    assert project.restore().returncode == 0
    assert project.state("params.yaml") == COMMITTED["params.yaml"]
    assert project.state("step.py") == edited
    project.must("git", "checkout", "--quiet", "HEAD", "step.py")
    assert project.is_committed_state()


def test_what_the_cache_has_lost_is_left_to_the_next_repro(project):
    shutil.rmtree(project.root / ".dvc" / "cache")
    (project.root / "models" / "train").unlink()
    assert project.restore().returncode == 0
    assert project.must("git", "status", "--porcelain") == ""
    project.dvc("repro", "--quiet")
    assert project.is_committed_state()


def test_it_does_nothing_while_dvc_is_running(project):
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "dvc"], cwd=project.root, env=project.environment
    )
    other = subprocess.Popen(["bash", "-c", "exec -a dvc sleep 60"], cwd=project.root, env=project.environment)
    try:
        deadline = time.monotonic() + 20
        while "error" not in (done := project.restore()).stderr and time.monotonic() < deadline:
            time.sleep(0.1)
        assert done.returncode == 1
        assert done.stderr == f"error: dvc is running here (process {other.pid}); wait for it, or end it first\n"
    finally:
        for one in (process, other):
            one.kill()
            one.wait()


def test_where_processes_cannot_be_seen_locks_are_left_and_it_says_so(project):
    script = project.root / "scripts" / "restore.py"
    original = script.read_text()
    assert original.count('"/proc"') == 1
    locks = (project.root / ".git" / "index.lock", project.root / ".dvc" / "tmp" / "rwlock")
    before = [lock.read_bytes() if lock.exists() else None for lock in locks]
    try:
        script.write_text(original.replace('"/proc"', '"/nowhere"'))  # as on a system that has none
        for lock in locks:
            lock.write_text("{}")
        done = project.restore()
        assert done.returncode == 1
        assert done.stderr.startswith("error: git: ")  # whose lock it is
        assert done.stderr.count("\n") == 1
        assert done.stdout.startswith("processes can't be seen on this system: ")
        assert done.stdout.count("\n") == 1
        assert [lock.read_text() for lock in locks] == ["{}", "{}"]
        locks[0].unlink()
        (project.root / "params.yaml").write_text("{")
        assert project.restore().returncode == 0
        assert locks[1].read_text() == "{}"
        assert project.state("params.yaml") == COMMITTED["params.yaml"]
    finally:
        script.write_text(original)
        for lock, content in zip(locks, before, strict=True):
            lock.unlink(missing_ok=True)
            if content is not None:
                lock.write_bytes(content)


def test_outside_of_a_repository_it_is_one_line(tmp_path):
    (tmp_path / "scripts").mkdir()
    shutil.copy(REPOSITORY / "scripts" / "restore.py", tmp_path / "scripts")
    done = Project(tmp_path).restore()
    assert done.returncode == 1
    assert done.stderr.startswith("error: git: ")
    assert done.stderr.count("\n") == 1
