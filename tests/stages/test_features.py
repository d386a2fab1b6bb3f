from __future__ import annotations

import numpy as np
import pytest

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.errors import MissingArtifactError
from lexivert.stages import features
from lexivert.text.lexicon import RESERVED, Lexicon


@pytest.fixture
def project(tmp_path):
    """A project folder with a vocabulary of four units beyond the reserved ones, and a corpus of six sentences."""
    surfaces = (*RESERVED, "the", "owl", "the owl", "##ing")
    kinds = ("control",) * 6 + ("byte",) * 256 + ("word", "word", "ngram", "piece")
    counts = np.ones(len(surfaces), dtype=np.int64)
    paths = Paths(tmp_path)
    Lexicon(surfaces, kinds, counts, counts).save(paths.vocab)
    columns = {
        "split": ["train", "valid", "train", "test", "train", "train"],
        "source": ["drama", "drama", "poems", "poems", "drama", "drama"],
        "text": ["the owl", "an owl", "the mill", "the river", "rose " * 70, "the old owl"],
    }
    artifacts.write_parquet(paths.corpus, columns, None)
    return paths


def test_the_stage_writes_aligned_arrays_and_clears_its_shards(project, tiny_params):
    params = tiny_params.model_copy(
        update={"features": tiny_params.features.model_copy(update={"max_train_sentences": 3})}
    )
    features.run(project, params)
    metrics = artifacts.read_json(project.metrics("features"))

    backbone = HuggingFaceEncoder.load(params.backbone)
    units = artifacts.read_array(project.unit_features)
    assert units.shape == (266, 32)
    read = ["end", "byte 0x00", "the", "owl", "the owl", "ing"]
    np.testing.assert_allclose(units[[0, 6, 262, 263, 264, 265]], backbone.encode(read), atol=2e-3)

    rows = artifacts.read_array(project.sentence_rows)
    assert rows.dtype == np.int64
    assert len(rows) == 5
    assert {1, 3} < set(rows.tolist())
    text = artifacts.read_parquet(project.corpus)["text"].to_pylist()
    sentences = artifacts.read_array(project.sentence_features)
    np.testing.assert_allclose(sentences, backbone.encode([text[row] for row in rows]), atol=2e-3)

    assert not (project.checkpoints / "features").exists()
    assert metrics["width"] == 32
    assert metrics["units"]["count"] == 266
    assert metrics["units"]["tokens_by_kind"]["word"] == 6  # [CLS] the [SEP], [CLS] owl [SEP]
    assert metrics["units"]["tokens_by_kind"]["ngram"] == 4
    assert metrics["sentences"]["truncated"] == int(4 in rows.tolist())


def test_same_bytes_twice(project, tiny_params):
    files = [project.unit_features, project.sentence_features, project.sentence_rows]
    features.run(project, tiny_params)
    first = [file.read_bytes() for file in files]
    features.run(project, tiny_params)
    assert [file.read_bytes() for file in files] == first


def test_a_missing_vocabulary_names_its_stage(tmp_path, tiny_params):
    with pytest.raises(MissingArtifactError, match="dvc repro vocab"):
        features.run(Paths(tmp_path), tiny_params)
