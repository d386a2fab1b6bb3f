from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import v_measure_score

from lexivert.data.wordnet import Synset
from lexivert.evaluation.homographs import mean_report, normalised, occurrences, word_report


def entry(name, lemmas, *examples):
    return Synset(name, "noun.object", tuple(lemmas), "a definition", examples)


RIVER = entry("n1", ["bank", "riverbank"], "they sat on the bank", "The Bank was steep", "a riverbank at night")
MONEY = entry("n2", ["bank", "depository"], "a bank lent it", "banks failed", "my bank, and another bank")
TILT = entry("v1", ["bank"], "the pilot had to bank", "he banked the plane")
BARK = entry("n3", ["bark"], "the bark of a dog", "one bark")


def test_occurrences_are_sentences_with_the_very_spelling():
    found = occurrences([RIVER, MONEY, TILT, BARK], ["bark", "bank", "riverbank"])
    assert list(found) == ["bank"]  # the others have one sense
    assert [(hit.sense, hit.text) for hit in found["bank"]] == [
        ("n1", "they sat on the bank"),
        ("n1", "The Bank was steep"),
        ("n2", "a bank lent it"),
        ("n2", "my bank, and another bank"),
    ]  # of the verb there is one example alone that spells it so
    assert [hit.text[slice(*hit.span)] for hit in found["bank"]] == ["bank", "Bank", "bank", "bank"]
    assert found["bank"][3].span == (3, 7)  # the first of two
    assert {hit.word for hit in found["bank"]} == {"bank"}


def test_parts_of_longer_words_are_no_occurrences():
    longer = entry("n4", ["bank"], "a bank-note", "the bank's door", "snowbank", "a piggy-bank", "bank_note")
    assert occurrences([RIVER, longer], ["bank"]) == {}
    plain = entry("n4", ["bank"], "(bank)", "“bank!”")
    assert len(occurrences([RIVER, plain], ["bank"])["bank"]) == 4


def test_only_words_asked_for_and_every_one_sorted():
    two = [
        entry("n1", ["pen", "Cell", "cell"], "a pen in a cell", "no pen, no cell"),
        entry("n2", ["cell", "pen"], "one cell and one pen", "pen and cell"),
    ]
    found = occurrences(two, ["pen", "cell"])
    assert list(found) == ["cell", "pen"]
    assert [len(hits) for hits in found.values()] == [4, 4]  # "Cell" and "cell" are one
    assert list(occurrences(two, ["pen"])) == ["pen"]


def test_rows_at_unit_length_and_zeros_stay():
    rows = normalised(np.array([[3.0, 4.0], [0.0, 0.0]], dtype=np.float32))
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.0, 0.0]])


def states(*rows):
    return np.array(rows, dtype=np.float32)


def test_word_report_on_separable_senses():
    rows = states([2, 0], [1, 0], [0, 3], [0, 1])
    report = word_report(rows, ["a", "a", "b", "b"], np.array([5.0, 5.0], dtype=np.float32), seed=0)
    assert report == pytest.approx(
        {
            "own_sense": 1.0,
            "other_senses": 0.0,
            "all_senses": 1 / 3,  # one like it of three others
            "isolated_word": 0.5**0.5,
            "nearest_sense": 1.0,
            "chance": 0.5,
            "adjusted_rand": 1.0,
            "v_measure": 1.0,
        },
        abs=1e-6,
    )


def test_word_report_on_senses_that_contexts_do_not_tell():
    report = word_report(states([1, 0], [0, 1], [1, 0], [0, 1]), ["a", "a", "b", "b"], states([1, 0])[0], seed=0)
    assert report["own_sense"] == pytest.approx(0.0, abs=1e-6)  # (1, 0) with (0, 1), the sense's only other
    assert report["other_senses"] == pytest.approx(0.5)  # one of two is like it
    assert report["all_senses"] == pytest.approx(1 / 3)
    assert report["isolated_word"] == pytest.approx(0.5)
    assert report["nearest_sense"] == 0.0
    # Clusters cut across senses, one of each in every cell: no pair is together in both. Expected 2 · 2 / 6, most 2.
    assert report["adjusted_rand"] == pytest.approx((0 - 2 / 3) / (2 - 2 / 3))
    assert report["v_measure"] == pytest.approx(0.0, abs=1e-6)


def test_other_senses_count_alike():
    rows = states([1, 0], [1, 0], [0, 1], [0, 1], [-1, 0], [-1, 0])
    report = word_report(rows, ["c", "c", "a", "a", "b", "b"], states([1, 0])[0], seed=0)
    assert report["other_senses"] == pytest.approx((-0.5 + 0.0 - 0.5) / 3)  # 0 and -1; 0 and 0; -1 and 0
    assert report["chance"] == pytest.approx(1 / 3)
    assert report["nearest_sense"] == 1.0


def test_word_report_equals_loop_with_the_row_itself_left_out():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(9, 5)).astype(np.float32)
    senses = [*"aaabbbbcc"]
    report = word_report(rows, senses, rows[0], seed=0)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def cosine(row, others):
        return float(np.mean([unit[row] @ unit[other] for other in others]))

    own, other, whole, hits = [], [], [], []
    for row, sense in enumerate(senses):
        near = {s: cosine(row, [o for o in range(9) if o != row and senses[o] == s]) for s in "abc"}
        own.append(near[sense])
        other.append(np.mean([value for s, value in near.items() if s != sense]))
        whole.append(cosine(row, [o for o in range(9) if o != row]))
        hits.append(max(near, key=lambda s: near[s]) == sense)
    expected = {"own_sense": own, "other_senses": other, "all_senses": whole, "nearest_sense": hits}
    assert {name: report[name] for name in expected} == pytest.approx(
        {name: np.mean(values) for name, values in expected.items()}, abs=1e-5
    )


def test_clusters_are_as_many_as_senses():
    """Two near groups of one sense each and a far one: k-means with three clusters finds all three."""
    rng = np.random.default_rng(1)
    middles = np.repeat(np.eye(3), 4, axis=0)
    rows = (middles + 0.05 * rng.normal(size=(12, 3))).astype(np.float32)
    senses = [*"aaaabbbbcccc"]
    report = word_report(rows, senses, rows[0], seed=3)
    assert report["adjusted_rand"] == report["v_measure"] == 1.0
    merged = word_report(rows, [*"aaaaaaaabbbb"], rows[0], seed=3)  # two senses: two of the groups fall together
    possible = [[0] * 4 + [1] * 4 + [1] * 4, [0] * 4 + [1] * 4 + [0] * 4, [0] * 8 + [1] * 4]
    values = [v_measure_score([*"aaaaaaaabbbb"], clusters) for clusters in possible]
    assert min(abs(merged["v_measure"] - value) for value in values) < 1e-6


def test_every_word_counts_once_in_the_mean():
    reports = {"bank": {"own_sense": 0.9, "chance": 0.5}, "cell": {"own_sense": 0.3, "chance": 0.25}}
    assert mean_report(reports) == pytest.approx({"own_sense": 0.6, "chance": 0.375})
    assert mean_report({}) == {}
