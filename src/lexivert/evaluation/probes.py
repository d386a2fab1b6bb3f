"""Probes of an embedding space: retrieval, nearest-neighbour classification, linear probes; thin around libraries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lexivert.evaluation import nearest
from lexivert.evaluation.metrics import wilson_interval

if TYPE_CHECKING:
    from sklearn.neighbors import KNeighborsClassifier  # type: ignore[import-untyped]

CUTS = (1, 10)
"""k of P@k and R@k."""
_DEPTH = 100  # documents looked at for each query, for MRR, MAP and nDCG
_NEIGHBOURS = 10
_TEST_SHARE = 0.25


def retrieval(queries: Tensor, documents: Tensor, own: Sequence[int]) -> dict[str, float]:
    """Rank documents by cosine, one of them right, and score as sentence-transformers does.

    Args:
        queries: any positive length. Shape: (B, D).
        documents: candidates, any positive length. Shape: (K, D).
        own: the right document of each query.

    Returns:
        ``precision_at_k``, ``recall_at_k`` for k in ``CUTS``; ``mrr``, ``map`` and ``ndcg_at_10`` (MRR and MAP over
        the first 100 documents).
    """
    if not len(queries):
        return {}
    from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator

    evaluator = InformationRetrievalEvaluator(
        queries={str(row): "" for row in range(len(queries))},
        corpus={str(row): "" for row in range(len(documents))},
        relevant_docs={str(row): {str(right)} for row, right in enumerate(own)},
        mrr_at_k=[_DEPTH],
        ndcg_at_k=[10],
        accuracy_at_k=list(CUTS),
        precision_recall_at_k=list(CUTS),
        map_at_k=[_DEPTH],
    )
    cosines, found = nearest.search(queries, documents, min(_DEPTH, len(documents)))
    ranked = [
        [{"corpus_id": str(row), "score": score} for row, score in zip(*near, strict=True)]
        for near in zip(found.tolist(), cosines.tolist(), strict=True)
    ]
    scores = evaluator.compute_metrics(ranked)
    report = {f"precision_at_{k}": float(scores["precision@k"][k]) for k in CUTS}
    report |= {f"recall_at_{k}": float(scores["recall@k"][k]) for k in CUTS}
    report |= {"mrr": float(scores["mrr@k"][_DEPTH]), "map": float(scores["map@k"][_DEPTH])}
    return report | {"ndcg_at_10": float(scores["ndcg@k"][10])}


def _classifier(most: int) -> KNeighborsClassifier:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=min(_NEIGHBOURS, most), metric="cosine")


def knn_accuracy(train: Tensor, labels: Sequence[str], test: Tensor, wanted: Sequence[str]) -> dict[str, float]:
    """Accuracy of the majority among the ten nearest training rows by cosine, with its 95 % interval.

    Shape: train (K, D), test (B, D).
    """
    guesses = _classifier(len(train)).fit(train.numpy(), list(labels)).predict(test.numpy())
    return accuracy(guesses.tolist(), wanted)


def knn_by_group(rows: Tensor, labels: Sequence[str], groups: Sequence[str]) -> dict[str, float]:
    """The same, every row judged by rows of other groups alone. Shape: (B, D)."""
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict  # type: ignore[import-untyped]

    fewest = len(groups) - max(Counter(groups).values())
    guesses = cross_val_predict(
        _classifier(fewest), rows.numpy(), np.asarray(labels), groups=np.asarray(groups), cv=LeaveOneGroupOut()
    )
    return accuracy(guesses.tolist(), labels)


def most_frequent(labels: Sequence[str], wanted: Sequence[str]) -> float:
    """Accuracy of always guessing the most frequent training label."""
    guess = Counter(labels).most_common(1)[0][0]
    return sum(label == guess for label in wanted) / len(wanted)


def accuracy(guesses: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """Share of right guesses and its Wilson interval."""
    right = sum(a == b for a, b in zip(guesses, wanted, strict=True))
    low, high = wilson_interval(right, len(wanted))
    return {"accuracy": right / len(wanted), "low": low, "high": high}


def pair_probe(both: Tensor, groups: Sequence[int], seed: int) -> dict[str, float]:
    """Accuracy of a logistic regression in telling originals from changed versions, on groups it has not seen.

    Every vector is judged by itself, never beside its other version.

    Args:
        both: B originals, then their B changed versions. Shape: (2B, D).
        groups: of each pair; no group is split between training and test.
        seed: of the split.

    Returns:
        ``probe_accuracy`` with ``probe_low`` and ``probe_high`` (95 %, as many trials as there are pairs, since two
        versions of one sentence are hardly independent), chance being 0.5; 0.5 where there are too few groups to
        split.
    """
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
    from sklearn.model_selection import GroupShuffleSplit
    from sklearn.pipeline import make_pipeline  # type: ignore[import-untyped]
    from sklearn.preprocessing import StandardScaler  # type: ignore[import-untyped]

    if len(set(groups)) < 4:
        return {"probe_accuracy": 0.5, "probe_low": 0.0, "probe_high": 1.0}
    labels = np.repeat([0, 1], len(groups))
    doubled = np.concatenate([groups, groups])
    split = GroupShuffleSplit(n_splits=1, test_size=_TEST_SHARE, random_state=seed)
    rows = both.numpy().astype(np.float64)
    train, test = next(split.split(rows, labels, doubled))
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))
    guesses = probe.fit(rows[train], labels[train]).predict(rows[test])
    right = int((guesses == labels[test]).sum())
    low, high = wilson_interval(right // 2, len(test) // 2)
    return {"probe_accuracy": right / len(test), "probe_low": low, "probe_high": high}
