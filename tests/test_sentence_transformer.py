from __future__ import annotations

import re
import shutil

import numpy as np
import pandas as pd
import pytest
from sentence_transformers import SentenceTransformer

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.config import ModelConfig
from lexivert.errors import MissingArtifactError, TooLongError
from lexivert.model import Lexivert
from lexivert.sentence_transformer import LexivertModule, export
from lexivert.text.lexicon import RESERVED, Lexicon

TEXTS = ["the silent owl", "", "the owl", "a mill by the river", "The owl!"]


@pytest.fixture
def project(tmp_path, tiny_params):
    """A project folder with all that an encoder reads: vocabulary, config and (random) unit codes."""
    paths = Paths(tmp_path / "project")
    words = ("the", "silent", "owl", "the owl", "a", "mill", "by", "river", "!")
    kinds = ("control",) * 6 + ("byte",) * 256 + tuple("ngram" if " " in word else "word" for word in words)
    counts = np.ones(len(kinds), dtype=np.int64)
    Lexicon((*RESERVED, *words), kinds, counts, counts).save(paths.vocab)
    config = ModelConfig.of(tiny_params, 32)
    config.save(paths.index)
    codes = np.random.default_rng(0).standard_normal((len(kinds), config.order_width))
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    artifacts.write_array(paths.index / artifacts.UNIT_CODES, codes.astype(np.float16))
    return paths.root


@pytest.fixture
def pool(project):
    """The model, and a pool of one process that has a copy of it."""
    model = SentenceTransformer(modules=[LexivertModule(project)], device="cpu")
    processes = model.start_multi_process_pool(["cpu"])
    yield model, processes
    model.stop_multi_process_pool(processes)


def test_module_gives_the_encoders_vectors(project):
    model = SentenceTransformer(modules=[LexivertModule(project)], device="cpu")
    vectors = model.encode(TEXTS, batch_size=2, show_progress_bar=False)
    assert vectors.dtype == np.float32
    assert vectors.shape == (5, model.get_embedding_dimension()) == (5, 256)
    np.testing.assert_allclose(vectors, Encoder.load(project).encode(TEXTS), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


def test_prompt_is_part_of_the_text(project):
    model = SentenceTransformer(modules=[LexivertModule(project)], device="cpu")
    prompted = model.encode(["owl"], prompt="the ", show_progress_bar=False)
    np.testing.assert_array_equal(prompted, model.encode(["the owl"], show_progress_bar=False))


WRONG = [
    (["ok", "word " * 400, "the owl"], "text 'word word wo...rd word word ' has "),
    (["ok", "the", "x" * 1_000_000], "text 'xxxxxxxxxxxx...xxxxxxxxxxxxx' has 1000000 characters, far too many"),
    (["a", "b", "the long owl", "\ud800"], r"text '\ud800' holds the lone surrogate"),
    (["a", None], "text is None; give a string"),
    (["the owl", "a", 3], "text is of type int; give a string"),
    (["the owl", ["a"]], "text is of type list"),
    (None, "text is None"),
    (3, "text is of type int"),
    ({"text": ["a"]}, "text is a table (of type dict); give one of its columns"),
    (pd.DataFrame({"text": ["a"]}), "text is a table (of type DataFrame); give one of its columns"),
]
"""What ``encode`` may be given, and how the complaint begins."""


@pytest.mark.parametrize(("texts", "message"), WRONG)
def test_a_text_that_is_refused_is_quoted(project, texts, message):
    model = SentenceTransformer(modules=[LexivertModule(project)], device="cpu")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        model.encode(texts, batch_size=2, show_progress_bar=False)


def test_a_pool_says_the_same(project, pool):
    """Its processes get chunks of the list, each sorted by length, and send their errors back."""
    model, processes = pool
    texts = ["the silent owl", "the owl", "a", "word " * 400, "owl"]
    with pytest.raises(TooLongError, match=r"^text 'word word wo\.\.\.rd word word ' has .*: split the text$"):
        model.encode(texts, pool=processes, chunk_size=3)
    vectors = model.encode(TEXTS, pool=processes, chunk_size=3)
    np.testing.assert_allclose(vectors, Encoder.load(project).encode(TEXTS), atol=1e-6)


def test_called_alone_the_module_says_the_same(project):
    with pytest.raises(TooLongError, match=r"^text 'word word wo\.\.\.rd word word ' has .*: split the text$"):
        LexivertModule(project).preprocess(["the owl", "word " * 400])
    with pytest.raises(ValueError, match=r"^text is None"):
        LexivertModule(project).preprocess(["the owl", None])


def test_the_exported_folder_needs_nothing_else_and_may_be_moved(tiny_project, tiny_model, tmp_path):
    export(tiny_project, tmp_path / "exported")
    folder = shutil.move(tmp_path / "exported", tmp_path / "elsewhere")
    expected = tiny_model.encode(TEXTS)
    model = SentenceTransformer(str(folder), device="cpu", trust_remote_code=True)
    np.testing.assert_array_equal(model.encode(TEXTS, show_progress_bar=False), expected)
    model.save(str(tmp_path / "again"), create_model_card=False)
    again = SentenceTransformer(str(tmp_path / "again"), device="cpu", trust_remote_code=True)
    np.testing.assert_array_equal(again.encode(TEXTS, show_progress_bar=False), expected)


def test_its_module_is_a_model_folder(tiny_project, tiny_model, tmp_path):
    export(tiny_project, tmp_path / "exported")
    (folder,) = (tmp_path / "exported").glob("*LexivertModule")
    model = Lexivert.from_pretrained(folder)
    texts = ["The old captain saw the river."]
    assert model.decode(tiny_model.encode(texts)) == texts
    module = LexivertModule(folder)
    assert module.encoder.fingerprint == tiny_model.fingerprint


def test_a_project_without_models_is_named(tmp_path):
    with pytest.raises(MissingArtifactError, match="dvc repro index"):
        LexivertModule(tmp_path)
