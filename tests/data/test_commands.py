"""The stage commands ``fetch`` and ``corpus``, run as DVC runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from lexivert.artifacts import Paths

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, embedded):
    """A folder with params for one text file of four documents; WordNet is there already."""
    params = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
    params["corpus"] |= {"source": "files", "files": ["notes.jsonl"], "valid_share": 0.3, "test_share": 0.3}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    rows = [{"text": f"Note {number} is here. It has two sentences of its own, {number}."} for number in range(4)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Paths(tmp_path).raw.mkdir(parents=True)
    Paths(tmp_path).wordnet.symlink_to(embedded.wordnet.resolve())
    return tmp_path


def stage(name, folder):
    return subprocess.run(
        [sys.executable, PROJECT / "pipeline" / f"{name}.py"], cwd=folder, capture_output=True, text=True, check=False
    )


def test_fetch_then_corpus_twice_the_same_bytes(project):
    paths = Paths(project)
    written = []
    for _ in range(2):
        assert stage("fetch", project).returncode == 0
        assert stage("corpus", project).returncode == 0
        written.append(paths.corpus.read_bytes())
    assert written[0] == written[1]
    assert json.loads(paths.metrics("fetch").read_text())["texts"] == {"documents": 4}
    metrics = json.loads(paths.metrics("corpus").read_text())
    assert metrics["total"] == {"documents": 4, "sentences": 8, "words": 48}
    assert {split: counts["documents"] for split, counts in metrics["split"].items()} == {
        "train": 2,
        "valid": 1,
        "test": 1,
    }
    assert pq.read_table(paths.corpus)["source"].unique().to_pylist() == ["files"]


def test_two_documents_are_too_few_to_split(project):
    lines = (project / "notes.jsonl").read_text().splitlines(keepends=True)
    (project / "notes.jsonl").write_text("".join(lines[:2]))
    assert stage("fetch", project).returncode == 0
    done = stage("corpus", project)
    assert done.returncode == 1
    assert done.stderr.startswith("error: the corpus has no valid sentence: there are 2 documents with text, ")
    assert done.stderr.count("\n") == 1
    assert not Paths(project).corpus.exists()


def test_mistakes_are_one_line_without_a_traceback(project):
    done = stage("corpus", project)
    assert done.returncode == 1
    assert done.stderr == "error: data/raw/texts.parquet is missing; run `dvc repro fetch` first\n"
    (project / "notes.jsonl").write_text("{oops\n")
    done = stage("fetch", project)
    assert done.returncode == 1
    assert done.stderr.startswith("error: notes.jsonl:1: not JSON")
    assert done.stderr.count("\n") == 1
    assert not Paths(project).raw_texts.exists()
