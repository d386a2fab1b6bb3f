"""The import closure by hand, and what does and does not change a digest."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from lexivert.code_fingerprint import EXEMPT, Module, SourceTree

SOURCES = {
    "__init__": '"""Lazy."""\ndef __getattr__(name):\n    from lexivert.model import Model\n    return Model\n',
    "config": "LEAST = 1\n",
    "errors": "class LexivertError(Exception): ...\n",
    "model": "import numpy as np\nfrom lexivert.codes import encoder\n\nclass Model: ...\n",
    "codes.__init__": '"""Codes."""\n',
    "codes.encoder": "from lexivert.codes.hashing import hashed\nfrom lexivert.config import LEAST\n",
    "codes.hashing": "import hashlib\n\ndef hashed(text):\n    import torch.nn\n    return text\n",
    "search.__init__": "from lexivert.search.index import Index\n",
    "search.index": "class Index: ...\n",
    "search.other": "class Other: ...\n",
    "stages.__init__": "",
    "stages.plain": "from lexivert.codes import hashing\n",
    "stages.lazy": "from lexivert import Model\n",
    "stages.search": "from lexivert.search.other import Other\n",
    "stages.late": "def run():\n    from lexivert.codes.encoder import hashed\n",
    "stages.named": "import importlib\nfound = importlib.import_module('lexivert.codes.hashing')\n",
    "stages.typed": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lexivert.model import Model\n",
    "stages.near": "from . import plain\nfrom ..search import other\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, source in SOURCES.items():
        path = tmp_path / "lexivert" / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return tmp_path


def names(folder, entry):
    return [module.name.removeprefix("lexivert.") for module in SourceTree(folder).closure(entry)]


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("plain", ["codes.hashing"]),  # the package codes is empty, and lexivert's door stays shut
        ("lazy", ["lexivert", "codes.encoder", "codes.hashing", "model"]),  # a name behind the door opens it
        ("search", ["search", "search.index", "search.other"]),  # what a package imports at load is loaded
        ("late", ["codes.encoder", "codes.hashing"]),  # imports inside functions count
        ("named", ["codes.hashing"]),  # and names for importlib
        ("typed", []),  # what only type checkers import is not loaded
        ("near", ["codes.hashing", "search", "search.index", "search.other", "stages.plain"]),  # and relative ones
    ],
)
def test_the_closure_is_what_the_stage_may_load(folder, stage, expected):
    found = names(folder, f"lexivert.stages.{stage}")
    assert found[0] == f"stages.{stage}"
    assert found[1:] == expected


def test_the_door_counts_only_where_something_is_taken_from_it(folder):
    assert "lexivert" in names(folder, "lexivert.stages.lazy")
    assert not any("lexivert" in names(folder, f"lexivert.stages.{stage}") for stage in ("plain", "near", "late"))


def test_a_script_has_a_closure_too(folder):
    (folder / "speed.py").write_text("from lexivert.codes.encoder import hashed\n")
    assert names(folder, folder / "speed.py")[0] == "speed"
    assert {"codes.encoder", "codes.hashing"} < set(names(folder, folder / "speed.py"))


def test_libraries_are_those_of_the_whole_closure(folder):
    assert SourceTree(folder).libraries("lexivert.stages.lazy") == {"numpy", "torch", "hashlib"}


def test_an_unknown_module_is_refused(folder):
    with pytest.raises(ValueError, match=r"no module lexivert\.stages\.nothing"):
        SourceTree(folder).closure("lexivert.stages.nothing")


BEFORE = '''
"""What it is."""
import math  # why

LIMIT = 3
"""Of what."""


class Thing:
    """A thing."""

    size: int = 1
    """Its size."""

    def area(self, other):
        """Area."""
        return math.pi * self.size + other
'''


def digest(tmp_path, source):
    path = tmp_path / "module.py"
    path.write_text(source)
    return Module("module", path).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""What it is."""', '"""Something else."""'),
        ('"""Of what."""', ""),
        ('        """Area."""\n', ""),
        ("# why", "# because"),
        ("math.pi * self.size + other", "(math.pi * self.size\n            + other)"),
        ('    """Its size."""', '    """Its\n    size."""'),
    ],
)
def test_comments_docstrings_and_layout_change_nothing(tmp_path, old, new):
    assert old in BEFORE
    assert digest(tmp_path, BEFORE.replace(old, new)) == digest(tmp_path, BEFORE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 3.0"),
        ("LIMIT = 3", "LIMIT = '3'"),
        ("LIMIT = 3", "LIMIT = True"),
        ("size: int = 1", "size: float = 1"),
        ("self.size + other", "self.size - other"),
        ("math.pi * self.size + other", "math.pi * (self.size + other)"),
        ("area(self, other)", "area(self, other=None)"),
        ("area(self, other)", "area(self, *other)"),
        ("import math", "import math as math"),
        ("return ", ""),
    ],
)
def test_code_changes_the_digest(tmp_path, old, new):
    assert old in BEFORE
    assert digest(tmp_path, BEFORE.replace(old, new)) != digest(tmp_path, BEFORE)


def test_every_syntax_tree_of_the_package_differs(tmp_path):
    """A naive oracle: two files have one digest only if Python's own dump of what is left of them is the same."""

    class Stripped(ast.NodeTransformer):
        def visit_Expr(self, node):
            return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else node

    seen: dict[str, str] = {}
    for number, path in enumerate(sorted(Path("src/lexivert").rglob("*.py"))):
        dump = ast.dump(Stripped().visit(ast.parse(path.read_text(encoding="utf-8"))))
        assert seen.setdefault(Module(str(number), path).digest, dump) == dump
    assert len(seen) > 50


def test_the_closure_holds_all_that_python_loads():
    """A naive oracle on the real package: what is in ``sys.modules`` once a stage is imported."""
    program = "import sys, lexivert.stages.vocab; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.startswith("lexivert.")}
    tree = SourceTree()
    closure = {module.name for module in tree.closure("lexivert.stages.vocab")}
    assert "lexivert.text.vocabulary" in loaded & closure
    assert {name for name in loaded - closure if not tree.module(name).is_empty} <= EXEMPT
