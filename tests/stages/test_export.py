from __future__ import annotations

import json
import shutil

import pytest

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.errors import LexivertError
from lexivert.model import Lexivert
from lexivert.stages import export

TEXTS = ["The old captain saw the river.", "Alice bought a red lamp."]


@pytest.fixture
def paths(tiny_project, tmp_path):
    return Paths(shutil.copytree(tiny_project, tmp_path / "project"))


def test_the_exported_folder_is_the_projects_model(paths, tiny_params, tiny_model):
    export.run(paths, tiny_params)
    model = Lexivert.from_pretrained(paths.root / "models" / "lexivert")
    vectors = tiny_model.encode(TEXTS)
    assert model.encode(TEXTS).tobytes() == vectors.tobytes()
    assert model.read(vectors) == tiny_model.read(vectors)
    metrics = json.loads(paths.metrics("export").read_text())
    sizes = [path.stat().st_size for path in paths.exported.rglob("*") if path.is_file()]
    assert metrics["bytes"] == sum(sizes) == sum(metrics["bytes_by_part"].values())
    assert metrics["bytes_by_part"].keys() == {
        "backbone",
        "config",
        "lexicon",
        "prior",
        "readme",
        "unit_codes",
    }


def test_twice_the_same(paths, tiny_params):
    export.run(paths, tiny_params)
    first = {path: path.read_bytes() for path in paths.exported.rglob("*") if path.is_file()}
    export.run(paths, tiny_params)
    assert {path: path.read_bytes() for path in paths.exported.rglob("*") if path.is_file()} == first


def test_nothing_trained_nothing_exported(tmp_path, tiny_params_file):
    with pytest.raises(LexivertError, match="run `dvc repro index` first"):
        export.run(Paths(tmp_path / "nothing"), load_params(tiny_params_file))
    assert not (tmp_path / "nothing").exists()
