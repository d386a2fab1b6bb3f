from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.data.splits import DocumentSize, assign_splits


def sizes(counts, source="s", split=None):
    return [DocumentSize(f"{source}/{number}", source, split, count) for number, count in enumerate(counts)]


def shares(documents, splits):
    sentences = Counter()
    for document in documents:
        sentences[splits[document.doc_id]] += document.sentences
    return {split: sentences[split] / sum(sentences.values()) for split in ("train", "valid", "test")}


def test_shares_are_met_in_every_source():
    documents = sizes([1, 2, 3] * 2000, "a") + sizes([10] * 300, "b")
    splits = assign_splits(documents, valid_share=0.1, test_share=0.2, seed=1)
    for source in "ab":
        found = shares([document for document in documents if document.source == source], splits)
        assert found["valid"] == pytest.approx(0.1, abs=0.01)
        assert found["test"] == pytest.approx(0.2, abs=0.01)


def test_a_draw_depends_on_names_and_seed_only():
    documents = sizes(range(1, 200))
    shuffled = random.Random(0).sample(documents, len(documents))
    first = assign_splits(documents, valid_share=0.1, test_share=0.1, seed=3)
    assert assign_splits(shuffled, valid_share=0.1, test_share=0.1, seed=3) == first
    assert assign_splits(documents, valid_share=0.1, test_share=0.1, seed=4) != first


def test_three_documents_give_one_each_and_two_stay_in_train():
    three = assign_splits(sizes([50, 60, 70]), valid_share=0.02, test_share=0.02, seed=0)
    assert three == {"s/0": "test", "s/1": "valid", "s/2": "train"}  # the smallest, for all overshoot
    assert set(assign_splits(sizes([5, 0, 6]), valid_share=0.4, test_share=0.4, seed=0).values()) == {"train"}
    assert set(assign_splits(sizes([5, 6]), valid_share=0.4, test_share=0.4, seed=0).values()) == {"train"}


def test_a_source_of_three_keeps_two_for_training_where_another_gives_validation():
    documents = sizes([50, 60, 70], "few") + sizes([10] * 100, "many")
    splits = assign_splits(documents, valid_share=0.02, test_share=0.02, seed=0)
    assert {name: splits[f"few/{name}"] for name in range(3)} == {0: "test", 1: "train", 2: "train"}
    assert Counter(split for name, split in splits.items() if name.startswith("many")) == {
        "train": 96,
        "test": 2,
        "valid": 2,
    }


def test_a_document_that_overshoots_is_passed_over():
    splits = assign_splits(sizes([1000, 10, 10, 10]), valid_share=0, test_share=0.02, seed=0)
    assert splits["s/0"] == "train"
    assert sorted(splits.values()) == ["test", "test", "train", "train"]


def test_own_splits_are_kept_and_missing_ones_drawn():
    documents = sizes([5] * 100, "train", "train") + sizes([5] * 7, "test", "test")
    documents = [DocumentSize(document.doc_id, "s", document.split, document.sentences) for document in documents]
    splits = assign_splits(documents, valid_share=0.1, test_share=0.5, seed=0)
    assert {name for name, split in splits.items() if split == "test"} == {f"test/{number}" for number in range(7)}
    assert Counter(splits.values()) == {"train": 89, "valid": 11, "test": 7}


@given(st.lists(st.integers(1, 50), min_size=3, max_size=30), st.integers(0, 5))
def test_positive_shares_leave_no_split_empty(counts, seed):
    splits = assign_splits(sizes(counts), valid_share=0.1, test_share=0.1, seed=seed)
    assert set(splits.values()) == {"train", "valid", "test"}
    assert len(splits) == len(counts)
