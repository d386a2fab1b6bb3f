"""Measures against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lexivert.evaluation import metrics

CAT = "the cat sat on the mat"


def test_exact_match_is_a_share_and_sees_every_character():
    assert metrics.exact_match(["a b", "The", "x", ""], ["a b", "the", "x ", ""]) == 0.5


def test_unit_accuracy_counts_missing_and_surplus_units_as_wrong():
    # 2 of 3; 2 of max(2, 4); 0 of 2: 4 right of 9.
    references = [[1, 2, 3], [5, 6], [7, 8]]
    hypotheses = [[1, 9, 3], [5, 6, 7, 8], []]
    assert metrics.unit_accuracy(references, hypotheses) == pytest.approx(4 / 9)


def test_unit_accuracy_compares_positions_not_bags():
    assert metrics.unit_accuracy([[1, 2, 3, 4]], [[2, 3, 4]]) == 0.0


def test_unit_accuracy_of_two_empty_texts_is_one():
    assert metrics.unit_accuracy([[]], [[]]) == 1.0
    assert metrics.unit_accuracy([[], [1]], [[], [2]]) == 0.5


def test_bleu_by_hand():
    # "the cat sat on a mat": 1-grams 5/6, 2-grams 3/5, 3-grams 2/4, 4-grams 1/3, equal length: no brevity penalty.
    scored = metrics.bleu([CAT], ["the cat sat on a mat"])
    assert scored.score == pytest.approx(100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25)
    assert scored.signature.startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")


def test_bleu_is_pooled_over_the_corpus_with_brevity_penalty():
    # All n-grams right, 10 tokens for 12: BP = exp(1 - 12/10).
    scored = metrics.bleu([CAT, CAT], [CAT, "the cat sat on"])
    assert scored.score == pytest.approx(100 * math.exp(1 - 12 / 10))


def test_chrf_by_hand():
    # Spaces don't count: "ab" against "ac" has 1-grams 1/2 and 2-grams 0/1, no longer orders.
    # Precision = recall = (1/2 + 0) / 2 = 1/4, and F2 of equal values is that value.
    scored = metrics.chrf(["a b"], ["a c"])
    assert scored.score == pytest.approx(25.0)
    assert scored.signature.startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
    assert metrics.chrf([CAT], [CAT]).score == pytest.approx(100.0)


def test_rouge_by_hand():
    # 1-grams: P 4/4, R 4/6. 2-grams "the mat" and "sat on": P 2/3, R 2/5. Longest common subsequence "the sat on":
    # P 3/4, R 3/6.
    scores = metrics.rouge([CAT], ["the mat sat on"])
    assert scores["rouge1"] == pytest.approx(2 * 4 / 10)
    assert scores["rouge2"] == pytest.approx(2 * 2 / 8)
    assert scores["rougeL"] == pytest.approx(2 * 3 / 10)


def test_rouge_is_the_mean_over_texts():
    assert metrics.rouge([CAT, CAT], [CAT, "dogs"]) == pytest.approx({"rouge1": 0.5, "rouge2": 0.5, "rougeL": 0.5})


def test_token_f1_counts_repeated_tokens_once_each():
    # Shared: the, the, mat = 3 of 6 and of 4.
    assert metrics.token_f1([CAT], ["the the mat !"]) == pytest.approx(2 * 3 / 10)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "score"), [("", "", 1.0), ("", "a", 0.0), ("a", "", 0.0), ("A", "a", 0.0)]
)
def test_token_f1_edges(reference, hypothesis, score):
    assert metrics.token_f1([reference], [hypothesis]) == score


def test_mean_cosine_by_hand():
    references = torch.tensor([[1.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    hypotheses = torch.tensor([[5.0, 0.0], [4.0, 3.0], [1.0, 1.0]])
    assert metrics.mean_cosine(references, hypotheses) == pytest.approx((1 + 24 / 25 + 0) / 3)


def test_mean_cosine_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        metrics.mean_cosine(torch.ones(2, 3), torch.ones(3, 2))


def test_wilson_interval_against_published_values():
    # Newcombe 1998, table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    assert metrics.wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert metrics.wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert metrics.wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert metrics.wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


def test_wilson_interval_stays_within_zero_and_one():
    low, high = metrics.wilson_interval(300, 300)
    assert 0.98 < low < 1.0
    assert high == 1.0


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_wilson_interval_refuses_what_is_no_proportion(successes, trials):
    with pytest.raises(ValueError, match="no proportion"):
        metrics.wilson_interval(successes, trials)


def test_exact_match_report_of_units_and_of_texts():
    low, high = metrics.wilson_interval(1, 2)
    expected = {"texts": 2, "exact_match": 0.5, "exact_match_low": low, "exact_match_high": high}
    assert metrics.exact_match_report([[1, 2], [3]], [(1, 2), [3, 4]]) == expected
    assert metrics.exact_match_report(["an owl", "a cat"], ["an owl", "a Cat"]) == expected


def test_by_length_includes_both_bounds_and_leaves_out_the_rest():
    texts = [" ".join(["w"] * words) for words in (0, 1, 10, 11, 20, 21, 40, 41)]
    assert metrics.by_length(texts) == {"words_01_10": [1, 2], "words_11_20": [3, 4], "words_21_40": [5, 6]}


@pytest.mark.parametrize(
    "measure",
    [metrics.exact_match, metrics.unit_accuracy, metrics.bleu, metrics.chrf, metrics.rouge, metrics.token_f1],
)
def test_refuses_unequal_numbers_of_texts_and_none(measure):
    with pytest.raises(ValueError, match="2 references, but 1 hypotheses"):
        measure(["a", "b"], ["a"])
    with pytest.raises(ValueError, match="no texts"):
        measure([], [])


def test_reliability_by_hand():
    confidence = [0.05, 0.0, 0.35, 0.31, 1.0, 0.95, 0.9]
    right = [False, True, True, False, True, True, False]
    table = metrics.reliability(confidence, right)
    assert list(table.columns) == ["confidence", "observed", "readings"]
    assert table["confidence"].tolist() == pytest.approx([0.025, 0.33, 2.85 / 3])
    assert table["observed"].tolist() == pytest.approx([0.5, 0.5, 2 / 3])
    assert table["readings"].tolist() == [2, 2, 3]


def test_expected_calibration_error_by_hand():
    """Two bins of .5: |.3 - 1| twice and |.7 - 1/2| four times, of six."""
    confidence, right = [0.2, 0.4, 0.6, 0.8, 0.7, 0.7], [True, True, True, False, True, False]
    expected = (2 * 0.7 + 4 * 0.2) / 6
    assert metrics.expected_calibration_error(confidence, right, bins=2) == pytest.approx(expected)
    assert metrics.expected_calibration_error([0.0, 1.0, 1.0], [False, True, True]) == 0.0


def test_weights_count_like_copies():
    confidence, right = [0.05, 0.2, 0.9, 0.97], [False, True, True, False]
    copies = [0, 1, 1, 1, 2, 3, 3]
    weights = [copies.count(row) for row in range(4)]
    many = [[values[row] for row in copies] for values in (confidence, right)]
    for measure in (metrics.expected_calibration_error, metrics.auroc):
        assert measure(confidence, right, weights) == pytest.approx(measure(*many))
    assert metrics.reliability(confidence, right, weights)["readings"].tolist() == [1.0, 3.0, 3.0]
    assert metrics.reliability(confidence, right, weights)["observed"].tolist() == pytest.approx([0.0, 1.0, 1 / 3])


def test_the_interval_of_the_calibration_error_covers_it():
    """Over 200 samples of texts whose confidence is .1 too high, of three readings each."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        chance = rng.uniform(0.0, 0.9, size=100).repeat(3)
        right = (rng.random(300) < chance).tolist()
        low, high = metrics.calibration_error_interval(
            (chance + 0.1).tolist(), right, [1.0] * 300, np.arange(100).repeat(3).tolist()
        )
        assert 0.0 <= low < high
        covered += low <= 0.1 <= high
    assert covered >= 160


def test_auroc_is_the_share_of_pairs_in_the_right_order():
    confidence, right = [0.9, 0.8, 0.4, 0.3, 0.4], [True, False, True, False, False]
    # Of 2 x 3 pairs, .9 beats all three and .4 beats .3 and ties with .4.
    assert metrics.auroc(confidence, right) == pytest.approx((3 + 1.5) / 6)


@pytest.mark.parametrize("right", [[True, True], [False, False]])
def test_auroc_of_what_came_out_alike_is_chance(right):
    assert metrics.auroc([0.1, 0.9], right) == 0.5
