"""All four plug-ins in one model, as a user has them: named in params, trained in the project, loaded elsewhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.model import Lexivert
from lexivert.stages.__main__ import run_stages

FILES = ["circular_convolution", "gibbs_sampling", "causal_transformer", "static_embeddings"]
ELSEWHERE = """
import json, sys
from lexivert import Lexivert, LexivertError, plugins

folder, files, texts = json.loads(sys.stdin.read())
said = []
try:
    Lexivert.from_pretrained(folder)
except LexivertError as error:
    said.append(str(error))
plugins.load(files)
model = Lexivert.from_pretrained(folder)
vectors = model.encode(texts)
print(json.dumps([said, model.fingerprint, vectors.tobytes().hex(), model.decode(vectors)]))
"""
"""A program that has a model folder and the plug-ins, and nothing else."""


@pytest.fixture(scope="module")
def project(extended, plugin, make_once, tiny_params_file, tmp_path_factory):
    encoder = make_once(
        "static_of_all",
        lambda folder: plugin("static_embeddings").distil(load_params(tiny_params_file).backbone).save(folder),
    )
    changes = {
        "backbone": {"model": f"static:{encoder}"},
        "code": {"binding": "circular_convolution"},
        "controller": {"algorithm": "gibbs", "prior": "causal:models/causal"},
    }
    root = extended("together", FILES, changes, ["features", "token_head", "index"])
    with pytest.MonkeyPatch.context() as here:
        here.chdir(root)  # paths in params are those that a user writes
        params = load_params()
        plugin("causal_transformer").train_causal(
            Paths(), params, Path("models/causal"), width=32, steps=100, batch=32
        )
        run_stages(["controller"], Path(), Path("params.yaml"))
        yield root


def test_the_four_make_a_model_that_reads_every_text(project, heldout_texts):
    model = Lexivert.load(project)
    readings = model.read(model.encode(heldout_texts))
    assert [reading.text for reading in readings] == heldout_texts
    assert all(reading.verified for reading in readings)


def test_the_model_travels_and_says_which_plugin_it_needs(project, heldout_texts, tmp_path):
    model, texts = Lexivert.load(project), heldout_texts[:5]
    model.save_pretrained(tmp_path / "model")
    files = [str(project / f"{name}.py") for name in FILES]
    given = json.dumps([str(tmp_path / "model"), files, texts])
    run = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], input=given, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    (said,), fingerprint, vectors, read = json.loads(run.stdout)
    assert said.startswith("there is no sentence encoder 'static', but huggingface")
    assert fingerprint == model.fingerprint
    assert vectors == model.encode(texts).tobytes().hex()
    assert read == texts
