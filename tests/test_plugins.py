from __future__ import annotations

import sys

import pytest
from ruamel.yaml import YAML

from lexivert import plugins
from lexivert.config import load_params
from lexivert.errors import LexivertError
from lexivert.priors.base import PRIORS
from lexivert.yaml_reader import read_yaml

SOURCE = """
from dataclasses import dataclass

from lexivert.priors.base import PRIORS
from lexivert.priors.unigram import load_unigram


@dataclass
class Loads:
    count: int = 0


@PRIORS.register("{name}", label="one of ours")
def load(source):
    return load_unigram(source)
"""


def write(path, name):
    path.write_text(SOURCE.format(name=name), encoding="utf-8")
    return path


def test_a_file_is_imported_once_and_so_are_its_copies(tmp_path):
    path = write(tmp_path / "ours.py", "ours_once")
    (module,) = plugins.load([path])
    copy = write(tmp_path / "copy.py", "ours_once")
    assert plugins.load([str(path), path, copy]) == [module] * 3
    assert PRIORS.make("ours_once") is module.load


def test_a_file_that_has_changed_is_imported_again(tmp_path):
    path = write(tmp_path / "ours.py", "ours_changed")
    plugins.load([path])
    path.write_text(path.read_text().replace("one of ours", "a better one"))
    (module,) = plugins.load([path])
    assert PRIORS.make("ours_changed") is module.load
    assert PRIORS["ours_changed"].label == "a better one"


def test_two_files_of_one_name(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        plugins.load([write(tmp_path / folder / "ours.py", f"ours_{folder}")])
    assert {"ours_one", "ours_two"} <= set(PRIORS)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(LexivertError, match=r"plugins: .*absent\.py is not there"):
        plugins.load([tmp_path / "absent.py"])


def test_a_file_that_is_no_python_file(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(LexivertError, match=r"plugins: .*notes\.txt is no Python file; its name must end in \.py"):
        plugins.load([tmp_path / "notes.txt"])


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_module_that_is_not_there", r"ModuleNotFoundError: No module named 'a_module_that_is_not_there'"),
        ("def broken(", r"SyntaxError: '\(' was never closed"),
        ("raise ValueError('one\\ntwo')", "ValueError: one"),
    ],
)
def test_a_file_that_fails_gives_one_line_and_leaves_nothing(tmp_path, source, reason):
    path = tmp_path / "broken.py"
    path.write_text(source)
    before = set(sys.modules)
    with pytest.raises(LexivertError, match=rf"plugins: .*broken\.py fails: {reason}") as caught:
        plugins.load([path])
    assert "\n" not in str(caught.value)
    assert not [name for name in set(sys.modules) - before if "broken" in name]


def test_a_name_that_is_taken_is_told_with_the_file(tmp_path):
    path = write(tmp_path / "greedy.py", "selector")
    with pytest.raises(LexivertError, match=r"greedy\.py: prior 'selector' is registered already"):
        plugins.load([path])


def test_params_name_files_relative_to_themselves(tmp_path, tiny_params_file):
    content = read_yaml(tiny_params_file) | {"plugins": ["mine/ours.py", "/elsewhere/theirs.py"]}
    (tmp_path / "run").mkdir()
    YAML(typ="safe", pure=True).dump(content, tmp_path / "run" / "params.yaml")
    params = load_params(tmp_path / "run" / "params.yaml")
    assert params.plugins == (str(tmp_path / "run" / "mine" / "ours.py"), "/elsewhere/theirs.py")
    assert load_params(tiny_params_file).plugins == ()


def test_a_project_loads_what_its_params_name(tmp_path):
    plugins.load_of_project(tmp_path)  # no params: nothing to load
    write(tmp_path / "ours.py", "ours_of_a_project")
    (tmp_path / "params.yaml").write_text("plugins: [ours.py]\n")
    plugins.load_of_project(tmp_path)
    assert "ours_of_a_project" in PRIORS


@pytest.mark.parametrize("content", ["plugins: ours.py", "plugins: [1]"])
def test_a_project_whose_plugins_are_no_list_of_files(tmp_path, content):
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(LexivertError, match=r"params\.yaml: plugins: a list of Python files is needed"):
        plugins.load_of_project(tmp_path)
