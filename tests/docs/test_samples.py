"""What the pages show is run: samples on a tiny model, commands against command line, Makefile and params."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer

import pages
from lexivert.cli import app
from lexivert.model import Lexivert
from lexivert.yaml_reader import read_yaml

_PACKAGE = pages.REPOSITORY / "src" / "lexivert"
WITH_COMMANDS = [page for page in pages.PAGES if pages.commands(page)]


def test_pages_with_samples_are_found():
    names = {pages.name_of(page) for page in WITH_COMMANDS}
    assert {"README.md", "docs/quickstart.md", "docs/pipeline.md"} <= names
    assert len(pages.blocks(pages.REPOSITORY / "docs/quickstart.md", "python")) > 3


@pytest.mark.parametrize("page", ["README.md", "docs/quickstart.md"])
def test_python_samples_run(page: str, tiny_model: Lexivert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tiny_model.save_pretrained(tmp_path / "models" / "lexivert", include_backbone=True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "sample"}
    for number, block in enumerate(pages.blocks(pages.REPOSITORY / page, "python"), start=1):
        exec(compile(block, f"{page}, sample {number}", "exec"), names)  # noqa: S102 our own page
    assert len(names["vectors"]) == len(names["texts"]) == 2
    assert names["reading"].units
    assert names["reading"].steps


def _lexivert_calls() -> list[tuple[str, list[str]]]:
    """Page and arguments of every call of the command."""
    calls = []
    for page in pages.PAGES:
        for line in pages.commands(page):
            for part in re.split(r"\s(?:&&|\|)\s", line):
                words = shlex.split(part, comments=True)
                if words and words[0] == "lexivert":
                    calls.append((pages.name_of(page), words[1:]))
    return calls


@pytest.mark.parametrize(("page", "words"), _lexivert_calls(), ids=lambda value: str(value)[:60])
def test_commands_are_understood(page: str, words: list[str]):
    group = typer.main.get_command(app)
    context = group.make_context("lexivert", list(words), resilient_parsing=True)
    name, command, arguments = group.resolve_command(context, list(words))
    with command.make_context(name, arguments, parent=context):
        pass  # an option or argument that the command does not know is an error


def _written() -> set[str]:
    """What the samples of the pages write into the folder that they are run in."""
    calls = [words for page, words in _lexivert_calls() if page in {"README.md", "docs/quickstart.md"}]
    names = {words[2] for words in calls if words[0] in {"encode", "decode", "write"}}
    names |= {words[1] for words in calls if words[0] == "mteb"}
    for page in (pages.REPOSITORY / "README.md", pages.REPOSITORY / "docs" / "quickstart.md"):
        names |= {match for line in pages.commands(page) for match in re.findall(r" > (\S+)", line)}
        for block in pages.blocks(page, "python"):
            names |= set(re.findall(r'\.save(?:_pretrained)?\("([^"]+)"', block))
    return names - {"-"}


def test_samples_leave_the_working_tree_clean():
    written = _written()
    assert {"texts.txt", "vectors.parquet", "rebuilt.txt", "mine.tsv", "results", "copy", "search"} <= written
    git = [
        "git",
        "check-ignore",
        "--no-index",
        *(f"{name}/" if "." not in name else name for name in sorted(written)),
    ]
    ignored = subprocess.run(git, cwd=pages.REPOSITORY, capture_output=True, text=True, check=False).stdout.split()
    assert {name.rstrip("/") for name in ignored} == written


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=pages.name_of)
def test_make_targets_and_scripts_exist(page: Path):
    makefile = (pages.REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    for line in pages.commands(page):
        words = shlex.split(line, comments=True)
        if words and words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, line
        for word in words:
            if word.endswith(".py") and "/" in word:
                assert (pages.REPOSITORY / word).is_file(), line


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=pages.name_of)
def test_params_in_commands_exist(page: Path):
    params = read_yaml(pages.REPOSITORY / "params.yaml")
    for line in pages.commands(page):
        words = shlex.split(line, comments=True)
        for option, value in itertools.pairwise(words):
            if option == "-S":
                found = params
                for key in value.partition("=")[0].split("."):
                    assert isinstance(found, dict), line
                    assert key in found, line
                    found = found[key]


def test_modules_named_in_the_architecture_page_exist():
    text = (pages.REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:\w+/)*\w+\.py)`", text))
    missing = {name for name in named if not any((root / name).is_file() for root in (pages.REPOSITORY, _PACKAGE))}
    assert len(named) > 15
    assert not missing
