from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.encoders.features import choose_sentences, compute_features, write_features
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.errors import LexivertError, MissingArtifactError
from lexivert.text.lexicon import RESERVED, Lexicon
from sections import section


def settings(folder):
    return section("backbone", model=str(folder), max_tokens=64, device="cpu", dtype="float32")


@pytest.fixture
def backbone(tiny_backbone):
    return HuggingFaceEncoder.load(settings(tiny_backbone))


def random_texts(count, seed=0):
    rng = random.Random(seed)
    words = ["the", "silent", "owl", "watched", "an", "old", "mill", "near", "river", "while", "children"]
    return [" ".join(rng.choices(words, k=rng.randint(0, 12))) for _ in range(count)]


def test_sentences_are_valid_test_and_a_seeded_sample_of_train():
    splits = ["train"] * 50 + ["valid", "test"] + ["train"] * 50 + ["test"]
    rows = choose_sentences(splits, 10, seed=1)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert {50, 51, 102} < set(rows.tolist())
    assert len(rows) == 13
    assert rows.tolist() == choose_sentences(splits, 10, seed=1).tolist()
    assert rows.tolist() != choose_sentences(splits, 10, seed=2).tolist()


@pytest.mark.parametrize("most", [0, 100, 1000])
def test_all_training_sentences_if_they_are_few_or_unlimited(most):
    assert choose_sentences(["train"] * 99 + ["test"], most, seed=0).tolist() == list(range(100))


def test_cached_features_are_the_backbones_own(backbone, tmp_path):
    texts = random_texts(300)
    counts = write_features(tmp_path / "f.npy", backbone, texts, tmp_path / "shards", tokens_per_batch=64)
    written = artifacts.read_array(tmp_path / "f.npy")
    assert written.dtype == np.float16
    np.testing.assert_array_equal(written, backbone.encode(texts, tokens_per_batch=64).astype(np.float16))
    assert counts.metrics() == {
        "count": 300,
        "distinct": len(set(texts)),
        "tokens": int(backbone.tokenize(texts).lengths.sum()),
        "truncated": 0,
    }


KILLED = 3000
RUN = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
from test_features import *
folder = Path(sys.argv[2])
backbone = HuggingFaceEncoder.load(settings(sys.argv[3]))
write_features(folder / "killed.npy", backbone, random_texts(KILLED), folder / "shards", 48)
"""


def test_a_killed_run_resumes_to_the_same_bytes(backbone, tiny_backbone, tmp_path):
    here = str(Path(__file__).parent)
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, here, str(tmp_path), str(tiny_backbone)], stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while len(shards := sorted(tmp_path.glob("shards/*/0*.npy"))) < 2 and time.monotonic() < deadline:
        assert run.poll() is None, "the run ended before it could be killed"
        time.sleep(0.002)
    run.kill()
    run.wait()
    assert not (tmp_path / "killed.npy").exists()
    times = {shard: shard.stat().st_mtime_ns for shard in shards}

    texts = random_texts(KILLED)
    write_features(tmp_path / "killed.npy", backbone, texts, tmp_path / "shards", 48)
    write_features(tmp_path / "whole.npy", backbone, texts, tmp_path / "other", 48)
    assert (tmp_path / "killed.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert {shard: shard.stat().st_mtime_ns for shard in shards} == times  # taken over, not computed again


def test_damaged_shards_are_computed_again(backbone, tmp_path):
    texts = random_texts(1200)
    write_features(tmp_path / "whole.npy", backbone, texts, tmp_path / "shards", 48)
    first, second, third, *_ = sorted(tmp_path.glob("shards/*/0*.npy"))
    first.write_bytes(first.read_bytes()[:200])
    np.save(second, np.zeros((3, 32), np.float16))
    third.unlink()
    write_features(tmp_path / "again.npy", backbone, texts, tmp_path / "shards", 48)
    assert (tmp_path / "again.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_shards_of_other_texts_are_not_taken(backbone, tmp_path):
    # Joined without their borders both lists would read "a bc".
    write_features(tmp_path / "one.npy", backbone, ["a", " bc"], tmp_path / "shards", 48)
    write_features(tmp_path / "two.npy", backbone, ["a b", "c"], tmp_path / "shards", 48)
    two = artifacts.read_array(tmp_path / "two.npy")
    np.testing.assert_array_equal(two, backbone.encode(["a b", "c"]).astype(np.float16))


def test_features_beyond_float16_are_refused(backbone, tmp_path):
    backbone.model.encoder.layer[1].output.LayerNorm.weight.mul_(1e6)
    with pytest.raises(LexivertError, match="not finite in float16"):
        write_features(tmp_path / "f.npy", backbone, ["rose"], tmp_path / "shards", 48)
    assert list(tmp_path.glob("**/*.npy")) == []


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
        "text": ["the owl", "an owl", "the mill", "the river", "rose " * 70, "the old owl"],
    }
    artifacts.write_parquet(paths.corpus, columns, None)
    return paths


def test_the_stage_writes_aligned_arrays_and_clears_its_shards(project, tiny_params):
    params = tiny_params.model_copy(
        update={"features": tiny_params.features.model_copy(update={"max_train_sentences": 3})}
    )
    metrics = compute_features(project, params)

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
    compute_features(project, tiny_params)
    first = [file.read_bytes() for file in files]
    compute_features(project, tiny_params)
    assert [file.read_bytes() for file in files] == first


def test_a_missing_vocabulary_names_its_stage(tmp_path, tiny_params):
    with pytest.raises(MissingArtifactError, match="dvc repro vocab"):
        compute_features(Paths(tmp_path), tiny_params)
