"""Stage ``conditional`` on a tiny project."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from ruamel.yaml import YAML

from lexivert.artifacts import Paths
from lexivert.errors import LexivertError
from lexivert.generation import conditional_storage
from lexivert.language_model import storage
from lexivert.model import Lexivert
from lexivert.stages import conditional
from lexivert.yaml_reader import overridden, read_yaml


@pytest.fixture
def paths(generation_project, tmp_path):
    """A copy of the project, whose conditional model takes seconds to train."""
    shutil.copytree(generation_project.root, tmp_path / "project")
    paths = Paths(tmp_path / "project")
    shutil.rmtree(paths.generation)
    small = {"hidden_dim": 16, "feature_dim": 16, "layers": 1, "heads": 2, "batch_size": 8}
    change(paths, small | {"steps": 100, "always": 50, "drawn": 50})
    return paths


def change(paths, values):
    """Of section ``conditional``, in the project's params."""
    file = paths.root / "generation" / "params.yaml"
    YAML(typ="safe", pure=True).dump(overridden(read_yaml(file), {"conditional": values}), file)


def test_it_learns_and_the_model_then_searches(paths, tiny_params):
    conditional.run(paths, tiny_params)
    report = json.loads(paths.metrics("generation/conditional").read_text(encoding="utf-8"))
    curves = pd.read_csv(paths.metrics("generation/conditional").with_suffix(".csv"))
    assert curves["step"].tolist() == [50, 100]
    assert curves["nats"].iloc[-1] < curves["nats"].iloc[0]
    assert report["valid_nats_a_token"] < report["valid_nats_a_token_language_model"]  # an untrained one
    assert not (paths.checkpoints / "conditional").exists()
    folder = paths.generation / conditional_storage.FOLDER
    written = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert Lexivert.load(paths.root).generate([[1.0] * 32], effort="draft")[0].text
    conditional.run(paths, tiny_params)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == written


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_tokens": 1}, r"conditional\.max_tokens: input should be greater than or equal to 2, not 1"),
        ({"max_tokens": 2}, r"max_tokens is 2, but no training sentence is as short; the shortest has \d+ tokens"),
        ({"heads": 3}, "hidden_dim 16 must be a multiple of heads, 3"),
        ({"feature_dim": 33}, "conditional.feature_dim is 33, but the backbone's embeddings have 32 dimensions"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(paths, tiny_params, values, message):
    change(paths, values)
    with pytest.raises(LexivertError, match=message):
        conditional.run(paths, tiny_params)
    assert not paths.generation.exists()


def test_without_a_language_model_it_says_so(paths, tiny_params):
    storage.write(storage.NONE, paths.language_model)
    with pytest.raises(LexivertError, match="stage conditional needs a language model, but"):
        conditional.run(paths, tiny_params)
