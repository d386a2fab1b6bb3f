"""The split into train, valid and test: entire documents, drawn by a seeded hash, each source on its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_TO_SPLIT = 3
"""A source with fewer documents stays in train."""
FEWEST_FOR_VALID = 4
"""A source with fewer documents gives none to validation, if another has so many: the third is for training."""
OVERSHOOT = 1.25
"""A document may carry its split past the target by this factor, unless it is the split's first."""


@dataclass(frozen=True)
class DocumentSize:
    """What the split needs to know of a document.

    Attributes:
        doc_id: unique name.
        source: stratum.
        split: the split that its source put it in, or None.
        sentences: number of sentences.
    """

    doc_id: str
    source: str
    split: str | None
    sentences: int


def order_key(doc_id: str, seed: int) -> bytes:
    """Sort key that draws documents at random yet depends on nothing but name and seed."""
    return hashlib.blake2b(f"{seed}:{doc_id}".encode(), digest_size=16).digest()


def assign_splits(
    documents: Sequence[DocumentSize], *, valid_share: float, test_share: float, seed: int
) -> dict[str, str]:
    """Give each document a split.

    A document keeps the split its source gave it. A source that names no validation (or test) documents gives up
    some of its other documents: drawn in hash order until they have the share of the source's sentences;
    one that would overshoot by more than a quarter is passed over, and if all would, the smallest is taken. A source
    of three documents gives one to test alone, if another has more (``FEWEST_FOR_VALID``).

    Args:
        documents: every document once.
        valid_share: share of each source's sentences meant for validation, in [0, 1].
        test_share: the same for test.
        seed: seed of the draw.

    Returns:
        ``train``, ``valid`` or ``test`` by doc_id.
    """
    sources: dict[str, list[DocumentSize]] = {}
    for document in documents:
        sources.setdefault(document.source, []).append(document)
    some_are_large = any(_fit_for_valid(of_source) for of_source in sources.values())
    splits: dict[str, str] = {}
    for of_source in sources.values():
        own_valid = valid_share if _fit_for_valid(of_source) or not some_are_large else 0.0
        splits.update(_assign_source(of_source, {"test": test_share, "valid": own_valid}, seed))
    return splits


def _fit_for_valid(documents: Sequence[DocumentSize]) -> bool:
    return sum(document.sentences > 0 for document in documents) >= FEWEST_FOR_VALID


def _assign_source(documents: list[DocumentSize], shares: dict[str, float], seed: int) -> dict[str, str]:
    splits = {document.doc_id: document.split or "train" for document in documents}
    given = set(splits.values())
    open_documents = [document for document in documents if splits[document.doc_id] == "train" and document.sentences]
    if len(open_documents) < FEWEST_TO_SPLIT:
        return splits
    total = sum(document.sentences for document in documents)
    open_documents.sort(key=lambda document: order_key(document.doc_id, seed))
    wanted = [split for split, share in shares.items() if share > 0 and split not in given]
    for later, split in reversed(list(enumerate(reversed(wanted)))):
        drawn = _draw(open_documents, shares[split] * total, most=len(open_documents) - 1 - later)
        splits.update(dict.fromkeys(drawn, split))
        open_documents = [document for document in open_documents if document.doc_id not in drawn]
    return splits


def _draw(documents: list[DocumentSize], target: float, most: int) -> set[str]:
    """Names of documents, in the order given, with about ``target`` sentences; one at least, ``most`` at most."""
    drawn: set[str] = set()
    sentences = 0
    for document in documents:
        if sentences >= target or len(drawn) == most:
            break
        if document.sentences and sentences + document.sentences <= OVERSHOOT * target:
            drawn.add(document.doc_id)
            sentences += document.sentences
    return drawn or {min(documents, key=lambda document: document.sentences or float("inf")).doc_id}
