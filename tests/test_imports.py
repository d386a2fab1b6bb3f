"""What importing costs: libraries that take long are loaded where they are used, not with whatever names them."""

from __future__ import annotations

import json
import pkgutil
import shutil
import subprocess
import sys

import pytest

import lexivert
from sections import REPOSITORY

HEAVY = (
    "datasets",
    "dvc",
    "mteb",
    "nltk",
    "pandas",
    "plotly",
    "rouge_score",
    "sacrebleu",
    "scipy",
    "sentence_transformers",
    "sklearn",
    "transformers",
)
BUILT_ON_ONE = (
    "lexivert.evaluation.mteb_tasks",  # classes of mteb's own kind
    "lexivert.report",  # figures are plotly's
    "lexivert.sentence_transformer",  # a module of sentence-transformers' own kind
)
"""Modules that derive from classes of a heavy library, and that only their own command imports."""

MEASURE = """
import importlib, json, sys, time
start = time.process_time()
import torch
floor = time.process_time()
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps({
    "torch": floor - start,
    "rest": time.process_time() - floor,
    "loaded": [name for name in sys.argv[1].split(",") if name in sys.modules],
}))
"""

LOADED = """
import importlib, json, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps([name for name in sys.argv[1].split(",") if name in sys.modules]))
"""

HELP = """
import sys
from lexivert.cli import app
try:
    app(["--help"], standalone_mode=False)
finally:
    print("loaded:", [name for name in ("numpy", "pyarrow", "pydantic", "torch") if name in sys.modules])
"""


def child(code: str, *arguments: str) -> str:
    run = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return run.stdout


def modules() -> list[str]:
    found = [module.name for module in pkgutil.walk_packages(lexivert.__path__, "lexivert.")]
    return [name for name in found if not name.startswith(BUILT_ON_ONE) and not name.endswith(".__main__")]


def test_no_module_loads_a_heavy_library():
    """The time bar is loose, as a busy machine needs: all modules together cost no more than torch alone."""
    names = modules()
    assert {"lexivert.stages.controller", "lexivert.evaluation.token_space", "lexivert.data.wordnet"} <= set(names)
    report = json.loads(child(MEASURE, ",".join(HEAVY), *names).splitlines()[-1])
    assert report["loaded"] == []
    assert report["rest"] < report["torch"]


def test_help_loads_no_array_library():
    assert child(HELP).splitlines()[-1] == "loaded: []"


def test_no_stage_loads_torch_before_it_runs():
    names = [name for name in modules() if name.startswith("lexivert.stages.")]
    assert {"lexivert.stages.selector", "lexivert.stages.evaluate", "lexivert.stages.export"} <= set(names)
    assert json.loads(child(LOADED, "torch,faiss", *names)) == []


STAGE = """
import runpy, sys
before = sys.argv.pop(1)
try:
    runpy.run_module("lexivert.stages", run_name="__main__", alter_sys=True)
except SystemExit as end:
    print("status", end.code, [name for name in before.split(",") if name in sys.modules])
"""


@pytest.mark.parametrize("stage", ["code", "headline", "texts"])
def test_a_stage_of_a_second_loads_no_heavy_library(stage, tmp_path):
    """Though it is run by the command that has a look at all params before other stages."""
    shutil.copyfile(REPOSITORY / "requirements.lock", tmp_path / "requirements.lock")
    shutil.copytree(REPOSITORY / "metrics", tmp_path / "metrics")
    options = ("--root", str(tmp_path), "--params", str(REPOSITORY / "params.yaml"))
    loaded = child(STAGE, ",".join((*HEAVY, "faiss", "torch")), stage, *options)
    assert loaded.splitlines()[-1] == "status 0 []"
