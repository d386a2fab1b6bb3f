from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lexivert.encoders.fingerprint import fingerprint_of_files
from lexivert.encoders.huggingface import HuggingFaceEncoder, find
from sections import section


def tiny(folder, **changes):
    return section("backbone", **({"model": str(folder), "max_tokens": 64, "device": "cpu"} | changes))


@pytest.fixture
def folder(tiny_backbone, tmp_path):
    return shutil.copytree(tiny_backbone, tmp_path / "tiny")


def rewritten(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("changes", [{}, {"pooling": "cls"}, {"prompt": "query: "}, {"max_tokens": 63}])
def test_files_have_the_fingerprint_of_the_loaded_encoder(folder, changes):
    params = tiny(folder, **changes)
    assert fingerprint_of_files(params, folder) == HuggingFaceEncoder.load(params).fingerprint()


def test_the_packaged_encoder_too():
    """Its tokeniser's file says that texts are to be cut and padded, its weights have numbers that are not used."""
    params = section("backbone", device="cpu")
    assert fingerprint_of_files(params, Path(find(params.model))) == HuggingFaceEncoder.load(params).fingerprint()


def test_weights_count_in_float32_and_positions_are_no_weights(folder):
    def change(weights):
        for name, weight in weights.items():
            weights[name] = weight.half()
        weights["embeddings.position_ids"] = torch.arange(64)[None]

    rewritten(folder, change)
    assert fingerprint_of_files(tiny(folder), folder) == HuggingFaceEncoder.load(tiny(folder)).fingerprint()


def test_whatever_is_hashed_changes_it(folder):
    first = fingerprint_of_files(tiny(folder), folder)
    rewritten(folder, lambda weights: weights["encoder.layer.1.output.dense.bias"].add_(1e-3))
    second = fingerprint_of_files(tiny(folder), folder)
    rules = json.loads((folder / "tokenizer.json").read_text())
    rules["normalizer"]["lowercase"] = False
    (folder / "tokenizer.json").write_text(json.dumps(rules))
    third = fingerprint_of_files(tiny(folder), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_act": "relu"}))
    assert len({first, second, third, fingerprint_of_files(tiny(folder), folder), None}) == 5


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_damaged_files_have_none(folder, name):
    whole = (folder / name).read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not what it should be", b"[]", None):
        (folder / name).unlink()
        if content is not None:
            (folder / name).write_bytes(content)
        assert fingerprint_of_files(tiny(folder), folder) is None
        (folder / name).write_bytes(whole)
    assert fingerprint_of_files(tiny(folder), folder) is not None


def test_a_tokeniser_that_cannot_cut_the_probe_has_none(folder):
    """Unknown signs need a piece for them."""
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    model = content["model"]
    model["vocab"] = {piece: number for piece, number in model["vocab"].items() if piece != model.get("unk_token")}
    content["added_tokens"] = [one for one in content["added_tokens"] if one["content"] != model.get("unk_token")]
    path.write_text(json.dumps(content), encoding="utf-8")
    assert fingerprint_of_files(tiny(folder), folder) is None
