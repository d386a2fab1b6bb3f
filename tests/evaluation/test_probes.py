from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lexivert.evaluation.metrics import wilson_interval
from lexivert.evaluation.probes import accuracy, knn_accuracy, knn_by_group, most_frequent, pair_probe, retrieval


def at(*degrees):
    """Unit vectors of the plane at these angles."""
    angles = torch.deg2rad(torch.tensor(degrees, dtype=torch.float32))
    return torch.stack((angles.cos(), angles.sin()), dim=1)


class TestRetrieval:
    def test_of_ranks_1_2_and_11_by_hand(self):
        documents = at(*range(0, 60, 5))  # from (1, 0), document k is the (k + 1)th
        assert retrieval(at(0, 0, 0), documents, own=[0, 1, 10]) == pytest.approx(
            {
                "precision_at_1": 1 / 3,
                "recall_at_1": 1 / 3,
                "precision_at_10": 2 / 30,  # one of ten, one of ten, none
                "recall_at_10": 2 / 3,
                "mrr": (1 + 1 / 2 + 1 / 11) / 3,
                "map": (1 + 1 / 2 + 1 / 11) / 3,  # of one right document it is the same
                "ndcg_at_10": (1 + 1 / math.log2(3)) / 3,
            }
        )

    def test_ranks_are_those_of_each_query(self):
        report = retrieval(at(0, 90, 44), at(10, 80, 40), own=[1, 1, 0])  # ranks 3, 1 and 2
        assert report["mrr"] == pytest.approx((1 / 3 + 1 + 1 / 2) / 3)
        assert report["ndcg_at_10"] == pytest.approx((1 / 2 + 1 + 1 / math.log2(3)) / 3)

    def test_documents_beyond_the_hundredth_count_as_not_found(self):
        documents = at(*np.linspace(0, 150, 101).tolist())
        assert retrieval(at(0), documents, own=[99])["mrr"] == pytest.approx(0.01)
        assert retrieval(at(0), documents, own=[100])["mrr"] == 0.0

    def test_more_queries_than_are_ranked_at_once(self):
        documents = at(*np.arange(0, 300, 0.5).tolist())
        assert retrieval(documents, documents, own=range(600))["precision_at_1"] == 1.0

    def test_no_queries_no_figures(self):
        assert retrieval(torch.empty(0, 2), at(0, 10), own=[]) == {}


class TestNearestNeighbours:
    def test_the_majority_of_ten_decides(self):
        """Of the first query's nearest ten the very nearest is a b, but six are a; the far b do not count."""
        train = torch.cat((at(0, 1, 2, 3, 4, 5), at(6, 7, 8, 9), at(*range(80, 100))))
        labels = ["a"] * 6 + ["b"] * 24
        report = knn_accuracy(train, labels, at(8, 90), ["a", "b"])
        assert report["accuracy"] == 1.0
        assert knn_accuracy(train, labels, at(8, 90), ["b", "b"])["accuracy"] == 0.5

    def test_neighbours_are_near_by_angle_not_by_distance(self):
        train = torch.cat((100.0 * at(*range(10)), at(*range(60, 70))))
        assert knn_accuracy(train, ["a"] * 10 + ["b"] * 10, at(10), ["a"])["accuracy"] == 1.0

    def test_fewer_than_ten_rows_are_all_asked(self):
        assert knn_accuracy(at(0, 1, 80, 81, 82), [*"aabbb"], at(0), ["b"])["accuracy"] == 1.0
        # Of four rows in two groups, each is judged by the two of the other.
        groups = ["one", "one", "two", "two"]
        assert knn_by_group(at(0, 1, 80, 81), [*"aabb"], groups)["accuracy"] == 0.0

    def test_rows_of_its_own_group_say_nothing_about_a_row(self):
        """Each book is nearest to itself, then to a book of another author."""
        angles = {"a-1": 0, "b-1": 10, "a-2": 90, "b-2": 100}
        groups = [name for name in angles for _ in range(10)]
        labels = [name[0] for name in groups]
        rows = at(*(angles[name] + 0.1 * place for place, name in enumerate(groups)))
        assert knn_by_group(rows, labels, groups)["accuracy"] == 0.0
        assert knn_by_group(rows, labels, [str(place) for place in range(40)])["accuracy"] > 0.8

    def test_a_second_group_of_the_same_label_does(self):
        angles = {"a-1": 0, "a-2": 10, "b-1": 90, "b-2": 100}
        groups = [name for name in angles for _ in range(10)]
        rows = at(*(angles[name] + 0.1 * place for place, name in enumerate(groups)))
        assert knn_by_group(rows, [name[0] for name in groups], groups)["accuracy"] == 1.0


def test_accuracy_with_its_wilson_interval():
    report = accuracy([*"aaaaaaaabb"], [*"aaaaaaaaaa"])
    assert report == pytest.approx({"accuracy": 0.8, "low": 0.4902, "high": 0.9433}, abs=1e-4)


def test_most_frequent_is_that_of_the_training_labels():
    assert most_frequent(["a", "b", "a"], ["a", "b", "b", "b"]) == 0.25


class TestPairProbe:
    @staticmethod
    def drawn(pairs, width=16, seed=0):
        return torch.randn(2 * pairs, width, generator=torch.Generator().manual_seed(seed))

    def test_separates_what_a_direction_separates(self):
        both = self.drawn(200)
        both[:200, 3] += 4.0
        both[200:, 3] -= 4.0
        report = pair_probe(both, list(range(200)), seed=0)
        assert report["probe_accuracy"] == 1.0
        # A quarter of 200 pairs; both sides of one are no two independent trials.
        assert report["probe_low"] == pytest.approx(wilson_interval(50, 50)[0])

    def test_stays_at_chance_on_noise(self):
        report = pair_probe(self.drawn(1000), list(range(1000)), seed=0)
        assert report["probe_low"] < 0.5 < report["probe_high"]
        assert report["probe_accuracy"] == pytest.approx(0.5, abs=0.08)

    def test_groups_are_not_split(self):
        """Each group has an axis of its own, which tells its sides apart for those who have seen it."""
        groups = [group for group in range(8) for _ in range(25)]
        axes = torch.eye(8)[groups] * torch.tensor([1.0, -1, -1, 1, 1, -1, 1, -1])
        both = torch.cat((axes, -axes))
        assert pair_probe(both, list(range(200)), seed=0)["probe_accuracy"] == 1.0
        assert pair_probe(both, groups, seed=0)["probe_accuracy"] == 0.5

    def test_is_fixed_by_the_seed(self):
        both = self.drawn(100) + torch.cat((torch.full((100, 16), 0.1), torch.zeros(100, 16)))
        groups = list(range(100))
        assert pair_probe(both, groups, seed=1) == pair_probe(both, groups, seed=1)
        assert len({pair_probe(both, groups, seed)["probe_accuracy"] for seed in range(6)}) > 1

    def test_too_few_groups_to_split(self):
        both = torch.cat((torch.ones(30, 2), -torch.ones(30, 2)))
        nothing = {"probe_accuracy": 0.5, "probe_low": 0.0, "probe_high": 1.0}
        assert pair_probe(both, [0, 1, 2] * 10, seed=0) == nothing
        assert pair_probe(both, [0, 1, 2, 3, 4] * 6, seed=0)["probe_accuracy"] == 1.0
