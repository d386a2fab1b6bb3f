from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from lexivert.config import Params, load_params
from lexivert.errors import LexivertError

PROJECT = Path(__file__).parents[1]


@pytest.fixture
def content():
    return yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))


def write(tmp_path, content):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_the_projects_own_params(tmp_path):
    shutil.copy(PROJECT / "params.yaml", tmp_path)
    params = load_params(tmp_path / "params.yaml")
    assert params.corpus.source == "embedded"
    assert params.code.embed_dim == 2048
    assert params.vocab.ngram_max == 7


def test_floats_are_yaml_1_2(tmp_path):
    text = (PROJECT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(
        text.replace("weight_decay: 1.0e-2", "weight_decay: 5e-3"), encoding="utf-8"
    )
    assert load_params(tmp_path / "params.yaml").token_head.weight_decay == 0.005


def test_every_stage_has_a_section(content):
    assert set(content) - {"seed"} == set(Params.model_fields) - {"seed"}


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("corpus", "valid_share"), 1.5, r"corpus.valid_share: .*less than or equal to 1, not 1.5"),
        (("corpus", "source"), "web", r"corpus.source: .*'embedded', 'datasets' or 'files', not 'web'"),
        (("corpus", "shuffle"), True, r"corpus.shuffle: no such key; there are source, dataset,"),
        (("vocab", "ngram_max"), 8, r"vocab.ngram_max: .*less than or equal to 7, not 8"),
        (("corpus", "test_share"), 0.98, r"corpus: valid_share 0\.02 plus test_share 0\.98 must be below 1$"),
        (("vocab", "ngram_min"), 8, r"vocab: ngram_min 8 must be at most ngram_max 7$"),
        (("vocab", "min_count", "word"), 0, r"vocab.min_count.word: .*greater than or equal to 1, not 0"),
        (("code", "semantic_share"), 0.0, r"code.semantic_share: .*greater than 0, not 0.0"),
        (("token_head", "learning_rate"), "fast", r"token_head.learning_rate: .*valid number.*, not 'fast'"),
        (("vocab", "min_count", "wrod"), 2, r"vocab.min_count.wrod: no such key; there are word,"),
        (("controllr",), {}, r"controllr: no such key; there are seed, corpus, .*controller, "),
    ],
)
def test_wrong_values_name_file_key_and_value(tmp_path, content, keys, value, message):
    section = content
    for key in keys[:-1]:
        section = section[key]
    section[keys[-1]] = value
    with pytest.raises(LexivertError, match=message) as caught:
        load_params(write(tmp_path, content))
    assert str(tmp_path / "params.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_section_is_named(tmp_path, content):
    del content["backbone"]
    with pytest.raises(LexivertError, match=r"params.yaml: backbone: field required$"):
        load_params(write(tmp_path, content))


def test_missing_and_broken_files(tmp_path):
    with pytest.raises(LexivertError, match="run from the project's root folder"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("seed: [1\ncorpus: {")
    with pytest.raises(LexivertError, match=r"params.yaml is not valid YAML") as caught:
        load_params(tmp_path / "params.yaml")
    assert "\n" not in str(caught.value)
    (tmp_path / "params.yaml").write_bytes(b"seed: 1 # caf\xe9\n")
    with pytest.raises(LexivertError, match=r"params.yaml is not UTF-8 \(byte 13\); save it as UTF-8$"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("")
    with pytest.raises(LexivertError, match="top level"):
        load_params(tmp_path / "params.yaml")
