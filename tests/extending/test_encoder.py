"""The second sentence encoder: static embeddings, distilled from the tiny transformer."""

from __future__ import annotations

import numpy as np
import pytest
from transformers import AutoModel, AutoTokenizer

from lexivert.config import load_params
from lexivert.encoders.base import SentenceEncoder, load_encoder
from lexivert.errors import LexivertError
from lexivert.model import Lexivert
from sections import section

NAME = "static_embeddings"
TEXTS = ["The silent owl watched the mill.", "", "rose", "watched the silent mill. the owl"]


@pytest.fixture(scope="module")
def module(plugin):
    return plugin(NAME)


@pytest.fixture(scope="module")
def distilled(module, make_once, tiny_params_file):
    return make_once(
        "static_embeddings", lambda folder: module.distil(load_params(tiny_params_file).backbone).save(folder)
    )


@pytest.fixture(scope="module")
def encoder(distilled):
    return load_encoder(section("backbone", model=f"static:{distilled}"))


def test_an_embedding_is_the_mean_of_token_vectors(encoder, tiny_backbone):
    assert isinstance(encoder, SentenceEncoder)
    table = AutoModel.from_pretrained(tiny_backbone).get_input_embeddings().weight.detach().numpy()
    table = table - table.mean(axis=0)
    tokenizer = AutoTokenizer.from_pretrained(tiny_backbone)
    found = encoder.encode(TEXTS)
    assert (found.shape, found.dtype, encoder.width) == ((4, 32), np.float32, 32)
    for text, embedding in zip(TEXTS, found, strict=True):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"] or [0]
        np.testing.assert_allclose(embedding, table[ids].mean(axis=0), atol=1e-6)


def test_word_order_is_nothing_to_it(encoder):
    first, *_, last = encoder.encode(TEXTS)
    np.testing.assert_allclose(first, last, atol=1e-6)


def test_saved_and_loaded_it_is_the_same(encoder, tmp_path):
    encoder.save(tmp_path / "copy")
    copy = load_encoder(section("backbone", model=f"static:{tmp_path / 'copy'}"))
    assert copy.fingerprint() == encoder.fingerprint()
    np.testing.assert_array_equal(copy.encode(TEXTS), encoder.encode(TEXTS))
    other = type(encoder)(encoder.tokenizer, encoder.vectors * 2)
    assert other.fingerprint() != encoder.fingerprint()


def test_nothing_can_be_distilled_from_it(module, distilled):
    with pytest.raises(LexivertError, match="has no token embeddings to distil"):
        module.distil(section("backbone", model=f"static:{distilled}"))


def test_a_folder_that_is_not_there():
    with pytest.raises(LexivertError, match="absent is missing"):
        load_encoder(section("backbone", model="static:absent"))


def test_end_to_end_every_text_is_read(extended, distilled, encoder, heldout_texts):
    stages = ["features", "token_head", "index", "selector", "controller"]
    root = extended("encoder", [NAME], {"backbone": {"model": f"static:{distilled}"}}, stages)
    model = Lexivert.load(root)
    vectors = model.encode(heldout_texts)
    expected = encoder.encode(heldout_texts)
    expected *= np.sqrt(model.encoder.config.code.semantic_share) / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors[:, :32], expected, atol=1e-6)
    readings = model.read(vectors)
    assert [reading.text for reading in readings] == heldout_texts
    assert all(reading.verified for reading in readings)
