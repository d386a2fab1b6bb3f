from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.data.encoded_texts import EncodedTexts
from lexivert.errors import LexivertError
from lexivert.evaluation.texts import choose_texts, draw_texts, embedded, encode_texts, fitting, with_texts


def test_texts_are_distinct_bounded_and_the_same_every_time():
    texts = [f"word {'more ' * (n % 45)}{n}" for n in range(400)] * 2
    chosen = choose_texts(texts, 7, seed=1)
    assert chosen == choose_texts(list(reversed(texts)), 7, seed=1)
    assert chosen != choose_texts(texts, 7, seed=2)
    assert len(chosen) == len(set(chosen)) == 21
    words = [len(text.split()) for text in chosen]
    assert sum(n <= 10 for n in words) == sum(11 <= n <= 20 for n in words) == sum(21 <= n <= 40 for n in words) == 7


def test_fewer_drawn_texts_are_the_first_of_more():
    texts = [f"text {n}" for n in range(50)] * 2
    drawn = draw_texts(texts, 30, seed=1)
    assert len(drawn) == len(set(drawn)) == 30
    assert drawn[:12] == draw_texts(reversed(texts), 12, seed=1)
    assert sorted(draw_texts(texts, 99, seed=1)) == sorted(set(texts))


@pytest.fixture
def encoded() -> EncodedTexts:
    return EncodedTexts(["none", "one", "three"], [[], [1], [3, 3, 3]], torch.eye(3))


def test_encoded_texts_are_found_by_their_strings(encoded):
    found = with_texts(encoded, ["three", "one"])
    assert (found.texts, found.units) == (["three", "one"], [[3, 3, 3], [1]])
    assert torch.equal(found.prefixes, torch.eye(3)[[2, 1]])


def test_only_texts_that_a_vector_is_made_for_are_kept(encoded):
    assert fitting(encoded, 3).texts == ["one", "three"]
    assert fitting(encoded, 2).texts == ["one"]
    with pytest.raises(LexivertError, match=r"no test text .* fits code.max_units"):
        fitting(encoded.only([0]), 3)


def test_texts_outside_the_corpus_are_segmented_and_embedded(tiny_model):
    encoder = tiny_model.encoder
    texts = ["The silent owl watched the mill.", "", "Rose"]
    found = encode_texts(encoder, texts)
    assert found.texts == [texts[0], texts[2]]
    assert found.units == encoder.segment(found.texts)
    expected = F.normalize(torch.from_numpy(encoder.backbone.encode(found.texts)), dim=-1)
    torch.testing.assert_close(found.prefixes, expected)
    rounded = EncodedTexts(found.texts, found.units, found.prefixes.half().float())
    torch.testing.assert_close(embedded(encoder, rounded).prefixes, expected)
