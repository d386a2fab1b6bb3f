from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from lexivert import artifacts
from lexivert.encoders.features import choose_sentences, quotas, write_features
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.errors import LexivertError
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
    sources = ["s"] * len(splits)
    rows = choose_sentences(splits, sources, 10, seed=1)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert {50, 51, 102} < set(rows.tolist())
    assert len(rows) == 13
    assert rows.tolist() == choose_sentences(splits, sources, 10, seed=1).tolist()
    assert rows.tolist() != choose_sentences(splits, sources, 10, seed=2).tolist()


def test_small_sources_give_a_larger_share_of_theirs():
    """Weights 1, 2 and 10 of 13: 26 rows are 2, 4 and 20; what the smallest lacks goes to the others."""
    assert quotas([1, 4, 100], 26) == [1, 4, 21]
    assert quotas([100, 400, 10_000], 26) == [2, 4, 20]
    assert quotas([10_000, 400, 100], 26) == [20, 4, 2]
    assert quotas([5, 0], 3) == [3, 0]
    splits = ["train"] * 110 + ["valid", "test"]
    sources = ["large"] * 100 + ["small"] * 10 + ["large", "small"]
    rows = choose_sentences(splits, sources, 22, seed=0)
    assert len(rows) == 24
    assert sum(100 <= row < 110 for row in rows) == round(22 * 10**0.5 / (10 + 10**0.5))
    assert {110, 111} <= set(rows.tolist())


@pytest.mark.parametrize("most", [0, 100, 1000])
def test_all_training_sentences_if_they_are_few_or_unlimited(most):
    assert choose_sentences(["train"] * 99 + ["test"], ["s"] * 100, most, seed=0).tolist() == list(range(100))


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
