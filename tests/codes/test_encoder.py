from __future__ import annotations

import numpy as np
import pytest
import torch

from lexivert import artifacts
from lexivert.codes.encoder import Encoder
from lexivert.codes.hashing import identity_codes
from lexivert.config import ModelConfig
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.errors import LexivertError, TooLongError
from lexivert.text.lexicon import COUNTED_KINDS, EOS, RESERVED, Lexicon
from lexivert.text.segmentation import Segmenter

WORDS = ("the", "old", "captain", "river", "the old", "saw", ".")


def saved(root, params):
    """An index folder with identity codes alone, beside a lexicon of seven words."""
    paths = artifacts.Paths(root)
    surfaces = RESERVED + WORDS
    kinds = ("control",) * 6 + ("byte",) * 256 + ("word",) * 4 + ("ngram", "word", "punctuation")
    counts = np.arange(len(surfaces), 0, -1, dtype=np.int64)
    Lexicon(surfaces, kinds, counts, counts).save(paths.vocab)
    config = ModelConfig.of(params, 32)
    paths.index.mkdir(parents=True)
    config.save(paths.index)
    codes = identity_codes(surfaces, config.order_width, config.seed).astype(np.float16)
    artifacts.write_array(paths.index / artifacts.UNIT_CODES, codes)
    assert set(kinds[262:]) <= set(COUNTED_KINDS)
    return paths


@pytest.fixture
def encoder(tmp_path, tiny_params):
    saved(tmp_path, tiny_params)
    return Encoder.load(tmp_path)


def test_the_vector_is_laid_out_as_designed(encoder):
    texts = ["the old captain saw the river.", ""]
    vectors = encoder.encode(texts)
    assert vectors.shape == (2, encoder.embed_dim) == (2, 256)
    assert vectors.dtype == np.float32
    semantic = encoder.backbone.encode(texts)
    share = encoder.config.code.semantic_share
    for text, vector, meaning in zip(texts, vectors, semantic, strict=True):
        total = np.zeros(224)
        for position, unit in enumerate([*encoder.segmenter.segment(text), EOS]):
            bound = encoder.binding.bind(encoder.codes[unit].float()[None], torch.tensor([position]))
            total += bound[0].numpy()
        prefix = np.sqrt(share) * meaning / np.linalg.norm(meaning)
        expected = np.concatenate([prefix, np.sqrt(1 - share) * total / np.linalg.norm(total)])
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_many_texts_are_as_each_alone(encoder):
    texts = [" ".join(WORDS[i % 4] for i in range(n % 9)) for n in range(300)]
    together = encoder.encode(texts)
    for row in (0, 1, 255, 256, 299):
        np.testing.assert_allclose(together[row], encoder.encode([texts[row]])[0], atol=1e-5)


def test_the_longest_text_is_encoded_and_a_longer_one_refused(encoder):
    encoder.encode(["saw " * 96])
    with pytest.raises(ValueError, match="text 2 has 97 units; a vector holds at most 96"):
        encoder.encode(["", "saw", "saw " * 97])


def test_a_text_that_is_far_too_long_is_refused_without_segmenting_it(encoder, monkeypatch):
    """White space does not count, as it is not kept."""
    most = 96 * encoder.segmenter.most_characters
    assert encoder.segment(["saw" + " " * most + "saw"]) == [encoder.segmenter.segment("saw saw")]
    monkeypatch.setattr(encoder.segmenter, "segment_normalized", lambda _: [0])
    assert encoder.segment(["x" * most]) == [[0]]
    with pytest.raises(ValueError, match=f"text 1 has {most + 1} characters, far too many for the 96 units"):
        encoder.segment(["saw", "x" * (most + 1)])


def test_characters_are_counted_before_they_are_composed(encoder):
    """Up to four characters may be composed to one, so that a few more than fit are looked at."""
    most = 96 * encoder.segmenter.most_characters
    for text in ("a" + "\u0301\u0316" * (2 * most), "x" * (5 * most)):
        with pytest.raises(TooLongError, match=f"^has {len(text)} characters, far too many"):
            encoder.written(text)
    assert encoder.written("  saw\n cafe\u0301 ")[0] == "saw café"


def test_what_fits(encoder):
    assert encoder.fits("saw " * 96)
    assert not encoder.fits("saw " * 97)
    assert not encoder.fits("x" * 10_000_000)
    with pytest.raises(TooLongError, match=r"^has 97 units; a vector holds at most 96$"):
        encoder.units_of("saw " * 96 + "saw")


def test_segmented_texts_are_not_segmented_again(encoder, monkeypatch):
    texts = ["the old captain saw the river.", ""]
    expected, units = encoder.encode(texts), encoder.segment(texts)
    monkeypatch.setattr(encoder, "segmenter", None)
    np.testing.assert_array_equal(encoder.encode_segmented(texts, units), expected)


def test_the_fingerprint_follows_whatever_decides_a_vector(encoder, tmp_path):
    def same(**parts):
        known = {name: getattr(encoder, name) for name in ("config", "backbone", "segmenter", "codes")}
        return Encoder(**(known | parts)).fingerprint

    config, lexicon = encoder.config, encoder.segmenter.lexicon
    first = encoder.fingerprint
    assert len(first) == 16
    assert same() == first == Encoder.load(tmp_path, "cpu").fingerprint
    other_place = config.backbone.model_copy(update={"model": "elsewhere", "device": "cuda"})
    assert same(config=config.model_copy(update={"backbone": other_place})) == first
    renamed = Lexicon((*lexicon.surfaces[:-1], "!"), lexicon.kinds, lexicon.counts, lexicon.usage)
    codes = encoder.codes.clone()
    codes[5, 7] += 0.01
    cls = HuggingFaceEncoder(
        encoder.backbone.model, encoder.backbone.tokenizer, config.backbone.model_copy(update={"pooling": "cls"})
    )
    changed = [
        same(config=config.model_copy(update={"seed": 1})),
        same(config=config.model_copy(update={"code": config.code.model_copy(update={"semantic_share": 0.5})})),
        same(segmenter=Segmenter(renamed)),
        same(codes=codes),
        same(backbone=cls),
    ]
    assert len({first, *changed}) == 6


def test_codes_that_do_not_fit_the_lexicon(tmp_path, tiny_params):
    paths = saved(tmp_path, tiny_params)
    artifacts.write_array(paths.index / artifacts.UNIT_CODES, np.zeros((5, 224), dtype=np.float16))
    with pytest.raises(LexivertError, match=r"codes of shape \(5, 224\) for 269 units; run `dvc repro`"):
        Encoder.load(tmp_path)


def test_a_missing_index_names_the_stage(tmp_path):
    with pytest.raises(LexivertError, match=r"index is missing; run `dvc repro index` first"):
        Encoder.load(tmp_path)
