from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lexivert.data.encoded_texts import EncodedTexts
from lexivert.errors import LexivertError
from lexivert.generation.base import GENERATORS, Generated, Generator, GeneratorParts, Request
from lexivert.generation.baselines import LikeliestUnits
from lexivert.generation.params import AUTO
from lexivert.generation.registry import make_generator
from lexivert.text.lexicon import RESERVED

SENTENCES = ["The old captain saw the river.", "Emma saw two lamps near the old mill.", "It was a noble snow."]


@pytest.fixture(scope="module")
def parts(tiny_model, language_model):
    encoder = tiny_model.encoder
    embeddings = F.normalize(torch.from_numpy(encoder.backbone.encode(SENTENCES)), dim=1)
    known = EncodedTexts(SENTENCES, [encoder.segmenter.segment(text) for text in SENTENCES], embeddings)
    return GeneratorParts(encoder, tiny_model.decoder.parts.prior, language_model, known)


@pytest.mark.parametrize("name", ["nearest_sentence", "bag_of_words", "language_model", "hill_climbing"])
def test_every_baseline_follows_the_protocol(parts, name):
    generator = GENERATORS.make(name)(parts)
    assert isinstance(generator, Generator)
    request = Request(parts.sentences.prefixes[:2], count=2, effort="draft")
    found = generator.generate(request)
    assert len(found) == 2
    assert all(1 <= len(own) <= 2 for own in found)
    assert found == generator.generate(request)
    assert all(candidate.log_probability < 0 for own in found for candidate in own)
    assert generator.generate(request.only([])) == []
    first = Generated.of(found[0])
    assert (first.text, first.alternatives) == (found[0][0].text, tuple(found[0][1:]))


def test_retrieval_finds_the_sentence_itself_and_then_the_next(parts):
    found = GENERATORS.make("nearest_sentence")(parts).generate(Request(parts.sentences.prefixes, count=3))
    for row, own in enumerate(found):
        assert own[0].text == SENTENCES[row]
        assert own[0].cosine == pytest.approx(1.0, abs=1e-5)
        cosines = [candidate.cosine for candidate in own]
        assert cosines == sorted(cosines, reverse=True)
        assert {candidate.text for candidate in own} == set(SENTENCES)


def test_the_likeliest_units_come_in_order_of_their_probability(told):
    """Of a prior that wants 60, then 61, then by number; three units, the known one first."""
    first = len(RESERVED)
    bias = -torch.arange(first + 70) / 1e3
    bias[first + 60], bias[first + 61] = 2.0, 1.0
    bias[:first] = -1e4
    writer = LikeliestUnits(told(first + 70, (), 3, bias), 12)
    assert writer.write(torch.randn(2, 4)) == [[first + 60, first + 61, first]] * 2
    known = torch.full((1, 12), -1)
    known[0, 0] = first + 5
    assert writer.write(torch.randn(1, 4), known) == [[first + 5, first + 60, first + 61]]
    assert writer.without([first + 60]).write(torch.randn(1, 4)) == [[first + 61, first, first + 1]]


def test_the_language_model_alone_ends_with_a_full_stop_and_heeds_the_prefix(parts):
    told = F.normalize(torch.randn(6, 32, generator=torch.Generator().manual_seed(0)), dim=1)
    found = GENERATORS.make("language_model")(parts).generate(Request(told, prefix="The moon"))
    texts = [own[0].text for own in found]
    assert all(text.startswith("The moon") for text in texts)
    assert len(set(texts)) > 1
    assert all(text[-1] in ".!?" or len(text) > 40 for text in texts)


def test_what_is_missing_is_said(parts):
    for name, missing in (("nearest_sentence", "sentences"), ("language_model", "language_model")):
        with pytest.raises(LexivertError, match=f"the generator {name} needs .*, and this model has none"):
            GENERATORS.make(name)(replace(parts, **{missing: None})).generate(Request(parts.sentences.prefixes))


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("nearest_sentence", {"prefix": "The"}),
        ("nearest_sentence", {"banned": ("river",)}),
        ("language_model", {"banned": ("river",)}),
    ],
)
def test_what_a_baseline_can_not_heed_is_refused(parts, name, given):
    with pytest.raises(LexivertError, match=f"the generator {name} takes n.* banned words"):
        GENERATORS.make(name)(parts).generate(Request(parts.sentences.prefixes, **given))


def test_without_trained_parts_a_model_climbs_hills(parts):
    assert type(make_generator(AUTO, parts)) is type(GENERATORS.make("hill_climbing")(parts))
