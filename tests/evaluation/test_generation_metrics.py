from __future__ import annotations

import numpy as np
import pytest
import torch

from lexivert.evaluation import generation_metrics as measures
from lexivert.evaluation import metrics
from lexivert.evaluation.generation_metrics import Judges

REFERENCES = ["The old owl sat by the river.", "Nobody knew.", "It was a long, long time ago; who knows?"]
HYPOTHESES = ["An old owl sat by a river.", "Nobody knew.", "It is a long, long, long time."]


def letters(texts):
    """An encoder: how often each of four letters occurs."""
    return np.array([[text.count(sign) + 0.1 for sign in "aeio"] for text in texts], dtype=np.float32)


@pytest.fixture
def judges():
    return Judges(letters, None, frozenset({"the", "a", "an", "by", "it", "was", "is"}), letters)


def test_repetition_by_hand():
    assert measures.repeated_share("A rose is a rose.") == pytest.approx(2 / 5)
    assert measures.repeated_share("No. no! No") == pytest.approx(2 / 3)
    assert measures.repeated_share("…") == 0.0


def test_content_words_by_hand(judges):
    words = judges.function_words
    assert measures.content_f1(REFERENCES[0], HYPOTHESES[0], words) == 1.0
    assert measures.content_f1("the owl sat", "the owl ran off", words) == pytest.approx(2 * 1 / (2 + 3))
    assert measures.content_f1("It was the", "it was a", words) == pytest.approx(2 / 3)  # no content words at all


def test_words_count_without_case_and_punctuation():
    assert measures.word_f1("The old owl, sat.", "the OWL sat") == pytest.approx(2 * 3 / (4 + 3))
    assert metrics.token_f1(["The old owl, sat."], ["the OWL sat"]) == 0.0


def test_scores_of_each_text(judges):
    targets = torch.from_numpy(letters(REFERENCES))
    scores = measures.text_scores(REFERENCES, targets, HYPOTHESES, judges)
    assert scores["exact_match"] == [0.0, 1.0, 0.0]
    assert scores["token_f1"][0] == pytest.approx(metrics.token_f1(REFERENCES[:1], HYPOTHESES[:1]))
    assert scores["rougeL"][1] == 1.0
    expected = torch.cosine_similarity(targets, torch.from_numpy(letters(HYPOTHESES))).tolist()
    assert scores["backbone_cosine"] == scores["independent_cosine"] == pytest.approx(expected)
    assert scores["words"] == [7.0, 2.0, 7.0]
    assert "nats_a_token" not in scores  # there is no language model


def test_a_summary_is_of_the_corpus_with_intervals(judges):
    targets = torch.from_numpy(letters(REFERENCES))
    scores = measures.text_scores(REFERENCES, targets, HYPOTHESES, judges)
    found = measures.summary(REFERENCES, HYPOTHESES, scores, seed=0)
    assert found == measures.summary(REFERENCES, HYPOTHESES, scores, seed=0)
    assert found["texts"] == 3
    assert found["token_f1"] == pytest.approx(metrics.token_f1(REFERENCES, HYPOTHESES))
    assert found["bleu"] == pytest.approx(metrics.bleu(REFERENCES, HYPOTHESES).score)
    assert found["chrf"] == pytest.approx(metrics.chrf(REFERENCES, HYPOTHESES).score)
    for name in ("token_f1", "bleu", "exact_match", "backbone_cosine"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    assert (found["exact_match_low"], found["exact_match_high"]) == (0.0, 1.0)


def test_the_interval_of_a_mean_is_about_two_standard_errors():
    values = np.random.default_rng(0).normal(size=400).tolist()
    found = measures.mean_scores({"value": values}, seed=1)
    error = np.std(values) / 400**0.5
    assert found["value"] == pytest.approx(np.mean(values))
    assert found["value_high"] - found["value_low"] == pytest.approx(2 * 1.96 * error, rel=0.2)


def test_buckets_by_hand():
    texts = ["one two three", "a b c d", "a " * 13, "a " * 26, "a " * 41]
    assert measures.buckets_of(texts) == {
        "words_04_12": [1],
        "words_13_25": [2],
        "words_26_40": [3],
        "words_04_25": [1, 2],
    }
