from __future__ import annotations

import numpy as np
import pytest

from lexivert.encoders.base import (
    ENCODERS,
    HUGGING_FACE,
    ContextualEncoder,
    SentenceEncoder,
    TokenEncoder,
    load_encoder,
    split_name,
)
from lexivert.encoders.features import write_features
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.errors import LexivertError
from sections import section


class Lengths:
    """Embeds a text as its length, so many times over."""

    def __init__(self, width: int) -> None:
        self.width = width

    def encode(self, texts, *, progress=""):
        return np.array([[1.0 + len(text)] * self.width for text in texts], dtype=np.float32)

    def fingerprint(self):
        return f"lengths {self.width}"


@ENCODERS.register("lengths", label="Text lengths")
def load_lengths(params):
    return Lengths(int(params.model))


def test_a_name_with_an_argument_is_built_by_its_factory():
    encoder = load_encoder(section("backbone", model="lengths:3"))
    assert isinstance(encoder, SentenceEncoder)
    assert encoder.encode(["ab", ""]).tolist() == [[3.0] * 3, [1.0] * 3]


def test_what_has_no_colon_is_a_hugging_face_model(tiny_backbone):
    for model in (str(tiny_backbone), f"{HUGGING_FACE}:{tiny_backbone}"):
        encoder = load_encoder(section("backbone", model=model, device="cpu", max_tokens=64))
        assert isinstance(encoder, HuggingFaceEncoder)
        assert encoder.width == 32


def test_what_stands_on_either_side_of_the_colon(tmp_path):
    (tmp_path / "a:b").mkdir()
    assert split_name("lengths:3") == ("lengths", "3")
    assert split_name("nobody:knows:this") == ("nobody", "knows:this")
    assert split_name("org/model") == (HUGGING_FACE, "org/model")
    assert split_name(str(tmp_path / "a:b")) == (HUGGING_FACE, str(tmp_path / "a:b"))


def test_a_folder_whose_name_holds_a_colon_is_read(tmp_path, tiny_backbone):
    folder = tmp_path / "tiny:1"
    folder.symlink_to(tiny_backbone)
    assert load_encoder(section("backbone", model=str(folder), device="cpu", max_tokens=64)).width == 32


def test_an_encoder_that_nobody_registered():
    with pytest.raises(LexivertError, match="there is no sentence encoder 'magic', but huggingface"):
        load_encoder(section("backbone", model="magic:wand"))


def test_an_encoder_without_width():
    with pytest.raises(LexivertError, match=r"backbone\.model is 'lengths:0': an encoder of width 0"):
        load_encoder(section("backbone", model="lengths:0"))


def test_protocols_tell_encoders_apart(tiny_backbone):
    transformer = load_encoder(section("backbone", model=str(tiny_backbone), device="cpu", max_tokens=64))
    assert isinstance(transformer, SentenceEncoder)
    assert isinstance(transformer, TokenEncoder)
    assert isinstance(transformer, ContextualEncoder)
    assert not isinstance(Lengths(3), TokenEncoder | ContextualEncoder)


class Counted(Lengths):
    """Asked for more than six words at once it refuses, but for a text that has more by itself."""

    def __init__(self):
        super().__init__(2)
        self.asked = []

    def encode(self, texts, *, progress=""):
        assert len(texts) == 1 or sum(max(len(text.split()), 1) for text in texts) <= 6
        self.asked += texts
        return super().encode(texts)


def test_features_of_an_encoder_without_tokens(tmp_path):
    """Batches are planned by words, and equal texts are run once."""
    encoder = Counted()
    texts = ["a b", "c c c", "", "a b", "a a a a a a a a", "b"]
    counts = write_features(tmp_path / "f.npy", encoder, texts, tmp_path / "shards", 6)
    written = np.load(tmp_path / "f.npy")
    assert written.tolist() == [[1.0 + len(text)] * 2 for text in texts]
    assert written.dtype == np.float16
    assert sorted(encoder.asked) == sorted(set(texts))
    assert counts.distinct == 5
    assert counts.lengths.tolist() == [2, 3, 1, 2, 8, 1]
