"""Fixtures of a tiny project that the stages have made, its model, and the command line on it."""

from __future__ import annotations

import hashlib
import io
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lexivert import cli
from lexivert.artifacts import Paths, write_json, write_parquet
from lexivert.config import load_params
from lexivert.data.relations import SCHEMA as RELATIONS_SCHEMA
from lexivert.data.sources import read_source, write_texts
from lexivert.model import Lexivert
from lexivert.stages.__main__ import run_stages
from sections import REPOSITORY

STAGES_OF_A_MODEL = ("corpus", "vocab", "features", "language_model", "token_head", "index", "selector", "controller")


@pytest.fixture(scope="session")
def tiny_project(make_once: Callable[..., Path], tiny_params_file: Path) -> Iterator[Path]:
    """Project folder of a model made by the stages, without WordNet's maps.

    Tests must not write into it: at the end of the run it has to hold what it held.
    """

    def make(root: Path) -> None:
        paths = Paths(root)
        write_texts(paths, read_source(load_params(tiny_params_file).corpus))
        for path in (paths.synonyms, paths.antonyms):
            write_parquet(path, {name: [] for name in RELATIONS_SCHEMA.names}, RELATIONS_SCHEMA)
        run_stages(STAGES_OF_A_MODEL, root, tiny_params_file)

    root = make_once("tiny_project", make)
    before = _digest(root)
    yield root
    assert _digest(root) == before, f"a test has written into {root}, which others read"


def _digest(folder: Path) -> str:
    """Of all files: their names and bytes."""
    digest = hashlib.blake2b()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="session")
def generation_project(
    tiny_project: Path, tiny_language_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Paths:
    """A copy of ``tiny_project`` with the tiny language model and an untrained conditional model."""
    from generation.conditional_cases import conditional
    from lexivert.generation import conditional_storage
    from lexivert.language_model import storage

    paths = Paths(tmp_path_factory.mktemp("generation") / "project")
    shutil.copytree(tiny_project, paths.root)
    shutil.copytree(tiny_language_model, paths.language_model, dirs_exist_ok=True)  # the packaged one's, as it were
    write_json(paths.language_model / storage.ABOUT, {"model": storage.PACKAGED})
    language_model = storage.load(paths.language_model, "cpu")
    model = conditional(language_model.model.get_input_embeddings().weight.shape[0], language_model.start_id)
    backbone = Lexivert.load(paths.root).encoder.backbone.fingerprint()
    conditional_storage.save(model, backbone, paths.generation / conditional_storage.FOLDER)
    (paths.root / "generation").mkdir()
    shutil.copy(REPOSITORY / "generation" / "params.yaml", paths.root / "generation")
    return paths


@pytest.fixture(scope="session")
def tiny_model(tiny_project: Path) -> Iterator[Lexivert]:
    """The model of ``tiny_project``, loaded once; tests must not change it."""
    model = Lexivert.load(tiny_project)
    before = _behaviour(model)
    yield model
    assert _behaviour(model) == before, "a test has changed the model, which others use"


@pytest.fixture
def lexivert(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs the command line on ``tiny_project``; gives exit code, standard output and standard error."""

    def run(*arguments: object, stdin: str | None = None, model: bool = True) -> tuple[int, str, str]:
        where = ["--model", str(tiny_project)] if model else []
        monkeypatch.setattr(sys, "argv", ["lexivert", *map(str, arguments), *where])
        if stdin is not None:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        captured = capsys.readouterr()
        return caught.value.code or 0, captured.out, captured.err

    return run


def _behaviour(model: Lexivert) -> list[object]:
    vectors = model.encode(["The old captain saw the river.", "Emma saw two lamps near the old mill."])
    return [vectors.tobytes(), model.read(vectors), model.generate(vectors, effort="draft")]
