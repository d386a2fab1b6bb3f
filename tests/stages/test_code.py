"""Fingerprints that stage ``code`` writes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from lexivert.artifacts import Paths
from lexivert.code_fingerprint import SourceTree
from lexivert.errors import MissingArtifactError
from lexivert.stages import code
from lexivert.stages.__main__ import STAGES
from sections import repository_params

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("code")
    (root / "requirements.lock").write_text("# torch==0.1\nnumpy==2.4\ntorch==2.13\nJinja2==3.1\ntqdm==4.67\n")
    (root / "benchmarks").mkdir()
    (root / "benchmarks" / "speed.py").write_text("import torch\nfrom lexivert.text.lexicon import Lexicon\n")
    code.run(Paths(root), repository_params())
    return root / "build" / "code"


def test_every_other_stage_and_script_has_a_file(written):
    files = {str(path.relative_to(written)) for path in written.rglob("*.txt")}
    assert files == {f"{stage}.txt" for stage in STAGES if stage != "code"} | {"benchmarks/speed.txt"}


def test_a_file_names_modules_and_locked_libraries(written):
    lines = (written / "benchmarks" / "speed.txt").read_text().splitlines()
    modules, libraries = [line for line in lines if "==" not in line], [line for line in lines if "==" in line]
    assert [line.split()[1] for line in modules][:2] == ["speed", "lexivert.artifacts"]
    assert all(len(line.split()[0]) == 16 for line in modules)
    assert libraries == ["numpy==2.4", "torch==2.13"]  # tqdm decides nothing, pyarrow is not in this lock


def test_a_library_that_a_stage_does_not_import_is_not_in_its_file(written):
    assert "torch==" not in (written / "corpus.txt").read_text()
    assert "torch==" in (written / "token_head.txt").read_text()


def test_the_same_bytes_again(written):
    before = {path: path.read_bytes() for path in written.rglob("*.txt")}
    code.run(Paths(written.parents[1]), repository_params())
    assert {path: path.read_bytes() for path in written.rglob("*.txt")} == before


@pytest.mark.parametrize(
    ("source", "counts", "spared"),
    [
        (
            "from lexivert.controller.registry import DECODERS",
            {"controller", "evaluate"},
            {"corpus", "vocab", "selector"},
        ),
        ("from lexivert.priors.base import PRIORS", {"selector", "controller"}, {"features", "index"}),
        ("from lexivert.encoders.base import ENCODERS", {"features", "controller"}, {"corpus", "vocab"}),
        ("from lexivert.codes.bindings import BINDINGS", {"controller", "evaluate"}, {"corpus", "vocab", "features"}),
        ("import lexivert.priors.base", {"corpus", "features", "controller"}, set()),
    ],
)
def test_plugins_count_for_stages_that_may_come_across_them(written, source, counts, spared):
    """Where nobody can tell what a plug-in is for, it counts for all."""
    plugin = written.parents[1] / "ours.py"
    plugin.write_text(f"{source}\n")
    params = repository_params().model_copy(update={"plugins": (str(plugin),)})
    code.run(Paths(written.parents[1]), params)
    changed = {
        file.stem for file in written.rglob("*.txt") if re.search(r"^\w{16} ours$", file.read_text(), re.MULTILINE)
    }
    assert counts <= changed
    assert not spared & changed
    code.run(Paths(written.parents[1]), repository_params())


def test_without_a_lock_there_is_one_line(tmp_path):
    with pytest.raises(MissingArtifactError, match=r"requirements\.lock is missing"):
        code.run(Paths(tmp_path), repository_params())


def test_every_package_behind_a_library_is_locked():
    locked = code.locked_versions(REPOSITORY / "requirements.lock")
    assert {package for packages in code.LIBRARIES.values() for package in packages} <= locked.keys()


def test_every_library_of_the_stages_is_known_to_decide_or_not():
    """A library that is new to the package has to be entered in ``LIBRARIES`` or here."""
    indifferent = {
        "pydantic",
        "ruamel",
        "tqdm",
        "typer",
        "rich",
        "yaml",
        "threadpoolctl",
        "filelock",
        "huggingface_hub",
    }
    tree = SourceTree()
    imported = set().union(*(tree.libraries(f"lexivert.stages.{stage}") for stage in STAGES if stage != "code"))
    assert imported - set(sys.stdlib_module_names) - indifferent <= code.LIBRARIES.keys()


def test_it_starts_without_the_heavy_libraries():
    program = "import sys, lexivert.stages.code, lexivert.stages.__main__; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "faiss", "sklearn", "scipy", "pandas"} & set(done.stdout.split())
