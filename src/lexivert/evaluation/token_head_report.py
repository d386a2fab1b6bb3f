"""Margins, related pairs and reconstruction of units that the token head was not trained on, space by space."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexivert.codes.hashing import identity_codes
from lexivert.codes.token_head import TokenHead, head_codes, unit_codes
from lexivert.data.relations import Relations
from lexivert.evaluation.nearest import nearest_others
from lexivert.evaluation.pair_statistics import distribution, pair_report, reconstruction_report

MAX_QUERIES = 2000
"""Held-out units whose nearest neighbour is searched among all units."""
MAX_PAIRS = 20_000
"""Pairs of a relation."""


def heldout_report(
    head: TokenHead,
    features: npt.NDArray[Any],
    surfaces: Sequence[str],
    heldout: npt.NDArray[np.bool_],
    pairs: Mapping[str, Relations],
    seed: int,
) -> dict[str, Any]:
    """Compare raw features, centred features, head codes, identity codes and full codes on held-out units.

    Args:
        head: trained head.
        features: Shape: (V, H).
        surfaces: V strings.
        heldout: Shape: (V,) bool; without any the report is empty.
        pairs: related units by relation; pairs whose first unit is held out count.
        seed: of the sample.

    Returns:
        For each space ``nearest`` (cosine to the nearest of all other units) and ``pairs``; and ``reconstruction``.
    """
    generator = torch.Generator().manual_seed(seed)
    units = torch.from_numpy(np.nonzero(heldout)[0])
    if len(units) == 0:
        return {"units": 0}
    queries = _sample(units, MAX_QUERIES, generator)
    chosen = {kind: _pairs_of(units, relations, generator) for kind, relations in pairs.items()}
    left = units[torch.randint(len(units), (MAX_PAIRS,), generator=generator)]
    right = torch.randint(len(surfaces), (MAX_PAIRS,), generator=generator)
    chosen["random"] = (left[left != right], right[left != right])
    report: dict[str, Any] = {"units": len(units), "pairs": {kind: len(ids[0]) for kind, ids in chosen.items()}}
    for name, vectors in _spaces(head, features, surfaces):
        report[name] = {
            "nearest": distribution(nearest_others(vectors, queries, 1)[0][:, 0]),
            "pairs": pair_report(vectors, chosen),
        }
        if name in {"head_codes", "unit_codes"}:
            report[name]["reconstruction"] = _reconstruction(head, name, vectors, features, queries)
    return report


def _spaces(head: TokenHead, features: npt.NDArray[Any], surfaces: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """One space at a time: at V = 100k and O = 1664 each takes 0.7 GB."""
    raw = torch.from_numpy(np.asarray(features, dtype=np.float32))
    yield "features", raw
    yield "centred_features", raw - head.centre
    yield "head_codes", torch.from_numpy(head_codes(head, features))
    yield "identity", torch.from_numpy(identity_codes(surfaces, head.config.code_width, head.config.identity_seed))
    yield "unit_codes", torch.from_numpy(unit_codes(head, features, surfaces))


@torch.inference_mode()
def _reconstruction(
    head: TokenHead, name: str, codes: Tensor, features: npt.NDArray[Any], queries: Tensor
) -> dict[str, float]:
    """From full codes, and from head codes for what the identity part costs."""
    rows = codes[queries].float()
    predicted = head.reconstruct(rows) if name == "unit_codes" else head.restored(rows * math.sqrt(rows.shape[1]))
    target = torch.from_numpy(np.asarray(features[queries.numpy()], dtype=np.float32))
    return reconstruction_report(predicted, target, head.centre)


def _pairs_of(units: Tensor, relations: Relations, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    left, right = relations.pairs(units)
    kept = _sample(torch.arange(len(left)), MAX_PAIRS, generator)
    return left[kept], right[kept]


def _sample(ids: Tensor, most: int, generator: torch.Generator) -> Tensor:
    return ids[torch.randperm(len(ids), generator=generator)[:most].sort().values]
