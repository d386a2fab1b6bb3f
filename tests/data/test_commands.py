"""The stage commands ``fetch`` and ``corpus``, run as DVC runs them."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML

from lexivert.artifacts import Paths
from lexivert.stages.__main__ import main
from lexivert.yaml_reader import read_yaml
from sections import REPOSITORY


@pytest.fixture
def project(tmp_path, embedded):
    """A folder with params for one text file of four documents; WordNet is there already."""
    params = read_yaml(REPOSITORY / "params.yaml")
    params["corpus"] |= {"source": "files", "folder": "texts", "valid_share": 0.3, "test_share": 0.3}
    YAML(typ="safe", pure=True).dump(params, tmp_path / "params.yaml")
    rows = [{"text": f"Note {number} is here. It has two sentences of its own, {number}."} for number in range(4)]
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Paths(tmp_path).raw.mkdir(parents=True)
    Paths(tmp_path).wordnet.symlink_to(embedded.wordnet.resolve())
    return tmp_path


@pytest.fixture
def stage(monkeypatch, capsys):
    """Runs a stage as its command does; gives the exit code and what stood on standard error."""

    def run(name, folder):
        monkeypatch.chdir(folder)
        return main([name]), capsys.readouterr().err

    return run


def test_fetch_then_corpus_twice_the_same_bytes(project, stage):
    paths = Paths(project)
    written = []
    for _ in range(2):
        assert stage("fetch", project)[0] == 0
        assert stage("corpus", project)[0] == 0
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


def test_two_documents_are_too_few_to_split(project, stage):
    notes = project / "texts" / "notes.jsonl"
    notes.write_text("".join(notes.read_text().splitlines(keepends=True)[:2]))
    assert stage("fetch", project)[0] == 0
    code, errors = stage("corpus", project)
    assert code == 1
    assert errors.startswith("error: the corpus has no valid sentence: there are 2 documents with text, ")
    assert errors.count("\n") == 1
    assert not Paths(project).corpus.exists()


def test_mistakes_are_one_line_without_a_traceback(project, stage):
    code, errors = stage("corpus", project)
    assert code == 1
    assert errors == "error: data/raw/texts.parquet is missing; run `dvc repro fetch` first\n"
    (project / "texts" / "notes.jsonl").write_text("{oops\n")
    code, errors = stage("fetch", project)
    assert code == 1
    assert errors.startswith("error: texts/notes.jsonl line 1: not valid JSON")
    assert errors.count("\n") == 1
    assert not Paths(project).raw_texts.exists()
