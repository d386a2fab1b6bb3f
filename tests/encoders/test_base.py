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
    register_encoder,
)
from lexivert.encoders.features import write_features
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.errors import LexivertError
from sections import section


class Letters:
    """Counts of a, b and c, one more than there are; asked for more than so many texts at once it refuses."""

    width = 3

    def __init__(self, most=1000):
        self.most = most
        self.asked = []

    def encode(self, texts, *, progress=""):
        assert len(texts) <= self.most
        self.asked += texts
        return np.array([[text.count(letter) + 1 for letter in "abc"] for text in texts], dtype=np.float32)

    def fingerprint(self):
        return "letters"


@pytest.fixture
def registered():
    """The registry, put back afterwards."""
    before = dict(ENCODERS)
    yield ENCODERS
    ENCODERS.clear()
    ENCODERS.update(before)


def backbone(model):
    return section("backbone", model=str(model), max_tokens=64, device="cpu", dtype="float32")


def test_protocols_tell_encoders_apart(tiny_backbone):
    transformer = load_encoder(backbone(tiny_backbone))
    assert isinstance(transformer, HuggingFaceEncoder)
    assert isinstance(transformer, SentenceEncoder)
    assert isinstance(transformer, TokenEncoder)
    assert isinstance(transformer, ContextualEncoder)
    assert isinstance(Letters(), SentenceEncoder)
    assert not isinstance(Letters(), TokenEncoder | ContextualEncoder)


def test_a_name_in_front_selects_an_encoder(registered, tiny_backbone):
    given = []
    register_encoder("letters", lambda params: given.append(params.model) or Letters(), "Letters")
    assert isinstance(load_encoder(backbone("letters:some:where")), Letters)
    assert given == ["some:where"]
    assert registered["letters"].label == "Letters"
    named = load_encoder(backbone(f"{HUGGING_FACE}:{tiny_backbone}"))
    assert named.fingerprint() == load_encoder(backbone(tiny_backbone)).fingerprint()


def test_a_name_that_nobody_registered_is_a_models(registered):
    with pytest.raises(LexivertError, match=r"backbone.model '?letters:x"):
        load_encoder(backbone("letters:x"))


@pytest.mark.parametrize("name", ["", "a:b", "a/b", "a b"])
def test_names_that_would_be_mistaken_are_refused(registered, name):
    with pytest.raises(ValueError, match="is no name for an encoder"):
        register_encoder(name, lambda _: Letters(), "Letters")


def test_an_encoder_without_width_is_refused(registered):
    class Empty(Letters):
        width = 0

    register_encoder("empty", lambda _: Empty(), "Empty")
    with pytest.raises(LexivertError, match="an encoder of width 0"):
        load_encoder(backbone("empty:"))


def test_features_of_an_encoder_without_tokens(tmp_path):
    """Batches are planned by words: of the budget of six words, no batch holds more."""
    encoder = Letters(most=6)
    texts = ["a b", "c c c", "", "a b", "a a a a a a a a", "b"]
    counts = write_features(tmp_path / "f.npy", encoder, texts, tmp_path / "shards", 6)
    written = np.load(tmp_path / "f.npy")
    assert written.tolist() == [[2, 2, 1], [1, 1, 4], [1, 1, 1], [2, 2, 1], [9, 1, 1], [1, 2, 1]]
    assert written.dtype == np.float16
    assert sorted(encoder.asked) == sorted(set(texts))  # equal texts once
    assert counts.distinct == 5
    assert counts.lengths.tolist() == [2, 3, 1, 2, 8, 1]
