from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.artifacts import Paths, write_parquet
from lexivert.data.corpus import SCHEMA
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.errors import LexivertError
from lexivert.evaluation.texts import (
    choose_texts,
    draw_texts,
    embedded,
    encode_texts,
    fitting,
    sources_of,
    with_texts,
)


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


def test_texts_are_drawn_of_every_source_in_turns():
    """Of 40 texts of one source, 3 of another and 1 of a third, six are drawn: 3, 2 and 1; then the others."""
    texts = [f"text {n}" for n in range(44)]
    sources = {text: "abc"[(n >= 40) + (n >= 43)] for n, text in enumerate(texts)}
    for count, expected in ((3, "abc"), (6, "aaabbc"), (9, "aaaaabbbc")):
        drawn = draw_texts(texts, count, seed=1, sources=sources)
        assert "".join(sorted(sources[text] for text in drawn)) == expected
    chosen = choose_texts(texts, 9, seed=1, sources=sources)
    assert "".join(sorted(sources[text] for text in chosen)) == "aaaaabbbc"
    assert chosen != choose_texts(texts, 9, seed=2, sources=sources)


def test_sources_of_a_split_are_by_normalised_text(tmp_path):
    rows = [("a", "novels", "test", "One  two."), ("b", "drama", "test", "Three."), ("c", "drama", "train", "Four.")]
    columns = dict(zip(SCHEMA.names, zip(*rows, strict=True), strict=True))
    write_parquet(Paths(tmp_path).corpus, {name: list(values) for name, values in columns.items()}, SCHEMA)
    assert sources_of(Paths(tmp_path), "test") == {"One two.": "novels", "Three.": "drama"}


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
