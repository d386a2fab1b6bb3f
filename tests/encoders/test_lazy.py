from __future__ import annotations

import json
import pickle
import shutil
import threading
import time

import numpy as np
import pytest
import torch

from lexivert.encoders.base import ENCODERS, load_encoder
from lexivert.encoders.lazy import LazyEncoder, lazy_encoder
from lexivert.errors import LexivertError
from sections import section


def tiny(folder, **changes):
    return section("backbone", **({"model": str(folder), "max_tokens": 64, "device": "cpu"} | changes))


ABSENT = "cuda" if torch.backends.mps.is_available() else "mps"


class Loads:
    """Counts how often an encoder is loaded, which takes its time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, params):
        time.sleep(0.05)
        self.count += 1
        return load_encoder(params)


def test_many_threads_get_one_encoder(tiny_backbone):
    load, found = Loads(), []
    later = lazy_encoder(tiny(tiny_backbone), load)
    assert load.count == 0
    threads = [threading.Thread(target=lambda: found.append(later.get())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert load.count == 1
    assert len(found) == 8
    assert all(one is found[0] for one in found)


def test_the_expected_fingerprint_needs_no_encoder(tiny_backbone):
    load, expected = Loads(), load_encoder(tiny(tiny_backbone)).fingerprint()
    assert lazy_encoder(tiny(tiny_backbone), load, expected).fingerprint() == expected
    assert load.count == 0
    assert lazy_encoder(tiny(tiny_backbone), load).fingerprint() == expected
    assert load.count == 1


def test_what_files_do_not_show_is_loaded_at_once(tiny_backbone):
    load = Loads()
    lazy_encoder(tiny(tiny_backbone), load, "another one")
    assert load.count == 1  # which tells that it is another one


def test_an_encoder_of_ones_own_is_loaded_at_once(tiny_backbone):
    made = load_encoder(tiny(tiny_backbone))
    ENCODERS.register("own", label="Of this test")(lambda params: made)
    assert lazy_encoder(tiny("own:x"), fingerprint=made.fingerprint()).get() is made


def test_an_error_is_told_again(tiny_backbone, tmp_path):
    folder = shutil.copytree(tiny_backbone, tmp_path / "tiny")
    later = lazy_encoder(tiny(folder))
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:1000])
    for _ in range(2):
        with pytest.raises(LexivertError, match="tiny' can't be loaded"):
            later.get()
    (folder / "model.safetensors").write_bytes(whole)
    assert later.get().width == 32


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "./nowhere"}, "there is no such folder"),
        ({"model": "my folder/bert"}, "my folder/bert' can't be loaded"),
        ({"max_tokens": 65}, "reads 64 tokens at most"),
        ({"device": ABSENT}, "this machine has no such device"),
    ],
)
def test_mistakes_are_not_left_for_later(tiny_backbone, changes, message):
    with pytest.raises(LexivertError, match=message):
        lazy_encoder(tiny(tiny_backbone, **changes))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "tokenizer_config.json", "config.json"])
def test_damage_is_not_left_for_later(tiny_backbone, tmp_path, name):
    folder = shutil.copytree(tiny_backbone, tmp_path / "damaged")
    (folder / name).write_bytes(b"not what it should be")
    with pytest.raises(LexivertError, match="can't be loaded"):
        lazy_encoder(tiny(folder))


@pytest.mark.parametrize("limit", ["Infinity", "NaN"])
def test_a_tokeniser_without_a_limit_has_none(tiny_backbone, tmp_path, limit):
    folder = shutil.copytree(tiny_backbone, tmp_path / "tiny")
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text()) | {"model_max_length": float(limit)}
    path.write_text(json.dumps(content))
    assert limit in path.read_text()
    assert lazy_encoder(tiny(folder)).get().width == 32


def test_it_goes_to_another_process_before_and_after(tiny_backbone):
    later = lazy_encoder(tiny(tiny_backbone))
    before = pickle.loads(pickle.dumps(later))  # noqa: S301 our own
    expected = later.get().encode(["the rose", ""])
    for one in (before, pickle.loads(pickle.dumps(later))):  # noqa: S301 our own
        assert isinstance(one, LazyEncoder)
        np.testing.assert_array_equal(one.get().encode(["the rose", ""]), expected)


def test_a_config_without_a_width_is_left_to_the_library(tiny_backbone, tmp_path):
    folder = shutil.copytree(tiny_backbone, tmp_path / "tiny")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({key: config[key] for key in config if key != "hidden_size"}))
    with pytest.raises(LexivertError):  # it takes its default, 768, which the weights don't fit
        lazy_encoder(tiny(folder))
