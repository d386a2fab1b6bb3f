from __future__ import annotations

import json
import re
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from lexivert import artifacts
from lexivert.controller.controller import Controller
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.errors import LexivertError, ReadingWarning, RowError
from lexivert.model import Lexivert
from lexivert.text.lexicon import EOS
from lexivert.text.tokenizer import normalize

TEXTS = [
    "The old captain saw the river.",
    "Alice bought a red lamp at the end of the day.",
    "",
    "  white \t space\n collapses  ",
    "Emma saw ☃ and 🙂…",
    "“Don't you see the moon?” said Emma; “it is pale.”",
    "word",
    "the the the the the the",
]


@pytest.fixture
def vectors(tiny_model):
    return tiny_model.encode(TEXTS)


def test_vectors_are_float32_of_unit_length(tiny_model, vectors):
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 256) == (len(TEXTS), tiny_model.embed_dim)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert tiny_model.encode([]).shape == (0, 256)


def test_the_prefix_is_the_backbone_embedding(tiny_model, vectors):
    features = HuggingFaceEncoder.load(tiny_model.encoder.config.backbone).encode(TEXTS)
    width = features.shape[1]
    prefix = vectors[:, :width]
    cosine = (prefix * features).sum(1) / np.linalg.norm(prefix, axis=1) / np.linalg.norm(features, axis=1)
    assert cosine.min() >= 0.9999
    share = tiny_model.encoder.config.code.semantic_share
    np.testing.assert_allclose(np.square(prefix).sum(1), share, atol=1e-5)


def test_a_vector_does_not_depend_on_the_batch(tiny_model, vectors):
    np.testing.assert_allclose(tiny_model.encode(TEXTS[1:2]), vectors[1:2], atol=1e-5)


def test_texts_are_read_back(tiny_model, vectors):
    readings = tiny_model.read(vectors)
    assert [reading.text for reading in readings] == [normalize(text) for text in TEXTS]
    assert tiny_model.decode(vectors) == [reading.text for reading in readings]
    assert all(reading.verified and reading.fit > 0.9999 for reading in readings)
    assert all(len(reading.units) == len(reading.scores) for reading in readings)
    assert all(0.0 <= score <= 1.0 for reading in readings for score in reading.scores)
    assert not any(reading.steps for reading in readings)


@pytest.mark.parametrize("scale", [1e-20, 1e20, 3.0])
def test_length_does_not_matter(tiny_model, vectors, scale):
    assert tiny_model.decode(vectors * np.float32(scale)) == [normalize(text) for text in TEXTS]


def test_tensors_of_any_kind(tiny_model, vectors):
    expected = [normalize(text) for text in TEXTS]
    for kind in (torch.bfloat16, torch.float16, torch.float32):
        assert tiny_model.decode(torch.from_numpy(vectors).to(kind).requires_grad_()) == expected


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_number_types(tiny_model, vectors, kind):
    assert tiny_model.decode(vectors.astype(kind)) == [normalize(text) for text in TEXTS]
    assert tiny_model.decode(vectors.astype(kind).tolist()) == [normalize(text) for text in TEXTS]


def test_no_vectors_no_texts(tiny_model):
    assert tiny_model.decode(np.empty((0, 256), dtype=np.float32)) == []


def changed(vectors, row, value):
    copy = vectors.copy()
    copy[row] = value
    return copy


def test_wrong_vectors_are_refused(tiny_model, vectors):
    for wrong, message in [
        (vectors[:, :255], r"vectors are 255 wide; \(B, 256\) is needed, or \(B, 32\)"),
        (vectors[0], r"shape \(256,\)"),
        (changed(vectors, (3, 200), np.nan), "vector 3 holds NaN or infinity"),
        (changed(vectors, (4, 0), -np.inf), "vector 4 holds NaN or infinity"),
        (changed(vectors, 5, 0.0), "vector 5 is zero"),
        (changed(vectors, 6, 0.0)[:, :32], "vector 6 is zero"),
        (vectors.astype(np.complex64), "complex64"),
        (vectors.astype(str), "real numbers are needed"),
    ]:
        with pytest.raises(ValueError, match=message):
            tiny_model.decode(wrong)


def test_a_vector_without_an_order_part_is_refused_by_name(tiny_model, vectors):
    without_order = changed(vectors, (slice(None), slice(32, None)), 0.0)
    message = "no order part, so there is nothing to read; `generate` writes a text of like meaning"
    for read in (tiny_model.read, tiny_model.decode):
        for given in (vectors[:2, :32], without_order[:2]):
            with pytest.raises(ValueError, match=f"^vector 0 has {message}"):
                read(given)
        with pytest.raises(ValueError, match=f"^vector 2 has {message}"):
            read(np.concatenate((vectors[:2], without_order[:1], vectors[6:7])))
    with pytest.raises(ValueError, match=f"^vector 0 has {message}"):
        tiny_model.decode(vectors[:1, :32], prefix="The young")


def test_a_known_beginning_is_a_beginning(tiny_model, vectors):
    for prefix in ("The old", "The  old captain saw the river."):
        assert tiny_model.decode(vectors[:1], prefix=prefix) == [TEXTS[0]]
        assert tiny_model.read(vectors[:1], prefix=prefix)[0].verified
    with pytest.warns(ReadingWarning, match=r"^text 0: read with a confidence below 0\.5"):
        assert tiny_model.decode(vectors[:1], prefix="The young")[0].startswith("The young")
    with pytest.raises(ValueError, match="prefix is of type int"):
        tiny_model.decode(vectors, prefix=3)
    with pytest.raises(ValueError, match=r"^prefix has \d+ units; a vector holds at most 96"):
        tiny_model.decode(vectors, prefix="moon " * 97)


def test_a_true_beginning_costs_no_second_decode(tiny_model, vectors, monkeypatch):
    """A false one is imposed in each of its spellings, on the vectors that begin otherwise."""
    decoded, decode = [], Controller.decode

    def counted(self, observed, **options):
        decoded.append(len(observed))
        return decode(self, observed, **options)

    monkeypatch.setattr(Controller, "decode", counted)
    tiny_model.read(vectors[:1], prefix="The old captain")
    assert decoded == [1]
    decoded.clear()
    readings = tiny_model.read(vectors[:3], prefix="The old captain")
    assert readings[0].text == TEXTS[0]
    assert decoded[0] == 3
    assert max(decoded[1:]) <= 2


def test_texts_too_surprising_for_a_vector_are_named(tiny_model):
    """The tiny model's 224 order dimensions take about 210 bits."""
    hard = " ".join(f"{letter}q{letter}z" for letter in "abcdefgh")
    with pytest.warns(ReadingWarning, match=r"^text 1: more surprising than the \d+ bits that a vector is expected"):
        tiny_model.encode([TEXTS[0], hard, TEXTS[1]])
    with pytest.warns(ReadingWarning, match=r"^texts 0, 1: more"):
        tiny_model.encode([hard, hard])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiny_model.encode(TEXTS[:2])


def test_writing_and_reading_agree_on_the_end_of_a_long_text(tiny_model):
    """Encoder and codebook make its code as long; at 90 units longer than a short text's."""
    texts = [[5, 9, 17], list(range(300, 390))]
    codebook = tiny_model.decoder.codebook
    assert codebook.eos_energies[90] > codebook.eos_energies[3]
    assert torch.equal(tiny_model.encoder.superpose(texts), codebook.superpose(texts))


def test_no_doubtful_string_without_a_word(tiny_model, vectors):
    """Readings tell themselves, and a prefix alone is known to be no more than a guess."""
    random = np.random.default_rng(0).standard_normal((2, 256)).astype(np.float32)
    with pytest.warns(ReadingWarning, match=r"^texts 1, 2: read with a confidence below 0\.5, see `read`$"):
        tiny_model.decode(np.concatenate((vectors[:1], random)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tiny_model.read(random)[0].doubtful
        tiny_model.decode(random, scores=True)
        tiny_model.decode(vectors[:2])


def test_texts_are_generated_from_the_prefix_alone(tiny_model, vectors):
    found = tiny_model.generate(vectors[:3])
    assert [one.text for one in found] == [one.text for one in tiny_model.generate(5 * vectors[:3, :32])]
    assert [one.text for one in found] != tiny_model.decode(vectors[:3])
    embeddings = tiny_model.encoder.backbone.encode([one.text for one in found])
    cosines = F.cosine_similarity(torch.from_numpy(embeddings), torch.from_numpy(vectors[:3, :32]))
    assert [one.cosine for one in found] == pytest.approx(cosines.tolist(), abs=1e-5)
    assert all(one.alternatives == () for one in found)
    assert tiny_model.generate(vectors[:1] * 5, prefix="The young")[0].text.startswith("The young")
    assert "captain" not in tiny_model.generate(vectors[:1], banned=["captain"])[0].text.lower()
    (three,) = tiny_model.generate(vectors[:1], 3, effort="draft")
    assert len({three.text, *(other.text for other in three.alternatives)}) == 1 + len(three.alternatives) <= 3
    assert all(other.cosine <= three.cosine for other in three.alternatives)
    assert tiny_model.generate(np.empty((0, 32))) == []
    with pytest.raises(ValueError, match="vector 1 has no semantic prefix"):
        tiny_model.generate(changed(vectors, (1, slice(32)), 0.0))
    with pytest.raises(ValueError, match=r"\(B, 256\) is needed, or \(B, 32\)"):
        tiny_model.generate(vectors[:, :33])
    with pytest.raises(ValueError, match="effort is 'much'; give one of draft, normal, high"):
        tiny_model.generate(vectors, effort="much")
    with pytest.raises(ValueError, match="n is 0; ask for at least 1 text"):
        tiny_model.generate(vectors, 0)


def test_of_many_vectors_the_one_without_an_order_part_is_named(tiny_model, vectors):
    many = np.repeat(vectors[:1], 70, axis=0)
    with pytest.raises(RowError, match="vector 66 has no order part"):
        tiny_model.read(changed(many, (66, slice(32, None)), 0.0))


def test_a_vector_without_an_order_part_is_not_read(tiny_model, vectors):
    message = "vector 1 has no order part, so there is nothing to read; `generate` writes a text of like meaning"
    for read in (tiny_model.decode, tiny_model.read):
        with pytest.raises(RowError, match=message):
            read(changed(vectors, (1, slice(32, None)), 0.0))
        with pytest.raises(RowError, match=message.replace("1", "0")):
            read(vectors[:, :32])


def test_bad_rows_are_told_by_number(tiny_model, vectors):
    with pytest.raises(RowError) as caught:
        tiny_model.decode(changed(vectors, (3, 200), np.nan))
    assert (caught.value.kind, caught.value.row, caught.value.reason) == ("vector", 3, "holds NaN or infinity")
    for row, text in ((1, "\ud800"), (2, 7), (1, "moon " * 500)):
        texts = ["a", "b", "c"]
        texts[row] = text
        with pytest.raises(RowError) as caught:
            tiny_model.encode(texts)
        assert (caught.value.kind, caught.value.row) == ("text", row)


def test_what_fits(tiny_model):
    assert tiny_model.fits("moon " * 96)
    assert not tiny_model.fits("moon " * 97)
    assert not tiny_model.fits("x" * 1_000_000)
    assert not tiny_model.fits("a" + "\u0301\u0316" * 1_000_000)
    assert tiny_model.fits("moon" + " " * 1_000_000 + "stone")
    with pytest.raises(ValueError, match="lone surrogate"):
        tiny_model.fits("\ud800")
    with pytest.raises(ValueError, match="text is None; give a string"):
        tiny_model.fits(None)


def test_a_column_of_a_table_is_as_good_as_a_list(tiny_model, vectors):
    table = pd.DataFrame({"text": TEXTS}, index=range(10, 10 + len(TEXTS)))
    table["vector"] = list(tiny_model.encode(table["text"]))
    np.testing.assert_array_equal(np.stack(table["vector"]), vectors)
    assert tiny_model.decode(table["vector"]) == tiny_model.decode(vectors)
    assert tiny_model.decode(pd.DataFrame(vectors)) == tiny_model.decode(vectors)
    with pytest.raises(ValueError, match=r"texts is a table .*; give one of its columns, such as texts\['text'\]"):
        tiny_model.encode(table)


def has(text, word):
    return re.search(rf"(?<![^\W_]){re.escape(word)}(?![^\W_])", text, re.IGNORECASE) is not None


def test_banned_words_and_phrases_are_not_written(tiny_model, vectors):
    banned = ["Captain", "RIVER", "the old"]
    for text in (
        tiny_model.decode(vectors[:1], banned=banned)[0],
        tiny_model.generate(vectors, banned=banned)[0].text,
    ):
        assert not any(has(text, word) for word in ("captain", "river", "the old"))
    (reading,) = tiny_model.read(vectors[:1], banned=["captain"], trace=True)
    word = re.fullmatch(r"The old (.+) saw the river\.", reading.text)[1]
    assert "captain" not in word.lower()
    assert not reading.verified
    assert reading.confidence < 0.01
    assert tuple(tiny_model.encoder.segmenter.surface(reading.steps[-1].buffer)) == reading.units
    assert tiny_model.decode(vectors, banned=["xyzzy", "captain owl"]) == tiny_model.decode(vectors)


def test_a_banned_word_is_found_in_bytes_pieces_and_glued_words(tiny_model):
    lexicon = tiny_model.encoder.segmenter.lexicon
    piece = next(surface for surface in lexicon.surfaces if surface.startswith("##") and surface[2:].isalpha())
    for surfaces, word in [
        (["The", *(f"<0x{byte:02X}>" for byte in b"zyx")], "zyx"),
        (["old", piece, "moon"], piece[2:]),
        (["The", "old", "<join>", "moon"], "moon"),
    ]:
        features = torch.from_numpy(tiny_model.encoder.backbone.encode(["The old moon"]))
        vector = tiny_model.encoder.compose([[lexicon.id_of[surface] for surface in surfaces]], features).numpy()
        assert word in tiny_model.decode(vector)[0]
        (text,) = tiny_model.decode(vector, banned=[word])
        assert word not in text
        assert text.startswith(surfaces[0])


def test_what_can_not_be_banned_is_refused(tiny_model, vectors):
    for wrong, message in [
        ("captain", "banned is one string"),
        (None, "banned is of type NoneType"),
        ({"captain": 1}, "banned is a table"),
        ([3], "banned word 0 is of type int"),
        (["moon", " "], "banned word 1 is ' ', which holds nothing"),
        (["moon", ""], "banned word 1 is ''"),
        (["moon " * 97], "banned word 0 has 97 units; .*, so it is in no text anyway"),
    ]:
        for read in (tiny_model.decode, tiny_model.generate):
            with pytest.raises(ValueError, match=message):
                read(vectors[:0], banned=wrong)
    with pytest.raises(ValueError, match="prefix holds 'captain', which is banned"):
        tiny_model.decode(vectors[:1], prefix="The old captain", banned=["Captain".lower()])


def test_generated_texts_have_no_notation_of_wikitext(tiny_model, vectors):
    texts = [one.text for one in tiny_model.generate(vectors)]
    assert not any(mark in text for text in texts for mark in ("@-@", "@,@", "@.@", "<unk>", "<wikitext>"))
    assert tiny_model.generate(vectors[:1], prefix="red @-@ tipped")[0].text.startswith("red @-@ tipped")


def test_wrong_texts_are_refused(tiny_model):
    limit = tiny_model.encoder.config.code.max_units
    longest = " ".join(["moon stone"] * (limit // 2))
    assert len(tiny_model.segment(longest)) <= limit
    assert tiny_model.encode([longest]).shape == (1, 256)
    with pytest.raises(ValueError, match=rf"text 1 has \d+ units; a vector holds at most {limit}"):
        tiny_model.encode(["short", longest + longest])
    with pytest.raises(ValueError, match=r"lone surrogate U\+D800"):
        tiny_model.encode(["\ud800"])
    with pytest.raises(ValueError, match="give a list of strings"):
        tiny_model.encode("one string")
    with pytest.raises(ValueError, match="text 1 is None"):
        tiny_model.encode(["a", None])
    for wrong in (None, 3, b"bytes"):
        with pytest.raises(ValueError, match=f"texts is of type {type(wrong).__name__}; give a list of strings"):
            tiny_model.encode(wrong)
    with pytest.raises(ValueError, match="text is of type int"):
        tiny_model.segment(3)


def test_segment_names_units(tiny_model):
    surfaces = tiny_model.segment("The old captain saw the river.")
    assert surfaces[-1] == "."
    assert "captain" in surfaces
    assert tiny_model.segment("  ") == []


def test_trace_tells_the_whole_rebuild(tiny_model, vectors):
    segmenter = tiny_model.encoder.segmenter
    for reading, plain in zip(tiny_model.read(vectors, trace=True), tiny_model.read(vectors), strict=True):
        assert reading.text == plain.text
        first, last = reading.steps[0], reading.steps[-1]
        assert first.unit == EOS
        assert last.residual < 0.01 <= first.residual or not reading.units
        assert tuple(segmenter.surface(last.buffer)) == reading.units
        for step in reading.steps:
            assert 0.0 <= step.residual <= 1.0
            assert 0.0 <= step.score <= 1.0
            if step.unit == EOS:
                assert step.position == len(step.buffer)
            else:
                assert step.buffer[step.position] == step.unit


def test_a_unit_is_its_own_nearest_neighbour(tiny_model):
    found = tiny_model.neighbors("captain", 5)
    assert [found[0].surface, found[0].kind] == ["captain", "word"]
    assert found[0].score == pytest.approx(1.0, abs=1e-3)
    assert [n.score for n in found] == sorted((n.score for n in found), reverse=True)
    assert len({n.surface for n in found}) == 5
    assert tiny_model.neighbors(tiny_model.encode(["captain"])[0], 5) == found


def test_neighbours_of_a_sum_ignore_order(tiny_model):
    one, other = (tiny_model.neighbors(text, 2) for text in ("captain river", "river captain"))
    assert {n.surface for n in one} == {n.surface for n in other} == {"captain", "river"}


def test_neighbours_need_a_text_and_a_count(tiny_model):
    assert len(tiny_model.neighbors("river", k=np.int64(3))) == 3
    with pytest.raises(ValueError, match=r"k is 1\.5"):
        tiny_model.neighbors("river", k=1.5)
    with pytest.raises(ValueError, match="k is True"):
        tiny_model.neighbors("river", k=True)
    with pytest.raises(ValueError, match="query is a table"):
        tiny_model.neighbors({"text": "river"})
    with pytest.raises(ValueError, match="query is of type NoneType"):
        tiny_model.neighbors(None)
    assert tiny_model.neighbors(torch.from_numpy(tiny_model.encode(["river"])[0]).bfloat16(), 1)[0].surface == "river"
    with pytest.raises(ValueError, match="k is 0"):
        tiny_model.neighbors("captain", 0)
    with pytest.raises(ValueError, match="the text is empty"):
        tiny_model.neighbors(" ")
    with pytest.raises(ValueError, match=r"vectors are 3 wide"):
        tiny_model.neighbors(np.ones(3))
    with pytest.raises(ValueError, match=r"query has shape \(1, 256\); give a text, or one vector of shape \(256,\)"):
        tiny_model.neighbors(np.ones((1, 256)))
    everything = len(tiny_model.index)
    assert len(tiny_model.neighbors("captain", everything + 5)) == everything


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def text_for(path):
    path.write_text("not what it should be", encoding="utf-8")


FILES = [
    "data/vocab.parquet",
    "models/index/config.json",
    "models/index/unit_codes.npy",
    "models/index/units.faiss",
    "models/controller/config.json",
    "models/selector/config.json",
    "models/selector/selector.safetensors",
]


@pytest.mark.parametrize("name", FILES)
def test_damaged_or_missing_files_give_one_line(tiny_project, tmp_path, name):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_project, copy)
    for damage in (cut, text_for, lambda path: path.write_bytes(b""), lambda path: path.unlink()):
        damage(copy / name)
        with pytest.raises(LexivertError, match=r"dvc repro") as caught:
            Lexivert.load(copy)
        assert str(copy) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_files_of_different_runs_do_not_mix(tiny_project, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tiny_project, copy)
    paths = artifacts.Paths(copy)
    codes = artifacts.read_array(paths.index / artifacts.UNIT_CODES)
    artifacts.write_array(paths.index / artifacts.UNIT_CODES, codes[:-1])
    with pytest.raises(LexivertError, match=r"codes of shape .* units"):
        Lexivert.load(copy)
    artifacts.write_array(paths.index / artifacts.UNIT_CODES, codes)
    path = paths.selector / "config.json"
    path.write_text(json.dumps(artifacts.read_json(path) | {"surprise": 1}), encoding="utf-8")
    with pytest.raises(LexivertError, match="dvc repro selector"):
        Lexivert.load(copy)


def test_noise_is_survived(tiny_model, vectors):
    generator = torch.Generator().manual_seed(0)
    noisy = torch.from_numpy(vectors) + 0.01 * torch.randn(vectors.shape, generator=generator)
    readings = tiny_model.read(noisy.numpy())
    assert [reading.text for reading in readings] == [normalize(text) for text in TEXTS]
    assert not any(reading.verified for reading in readings)
