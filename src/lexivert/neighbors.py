"""Units whose codes are nearest to those of a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F

from lexivert.codes.encoder import Encoder
from lexivert.search.unit_index import UnitIndex


@dataclass(frozen=True)
class Neighbor:
    """A unit near a query.

    Attributes:
        surface: the unit's string.
        kind: the unit's kind, such as ``word`` or ``ngram``.
        score: cosine of the unit's code with the query's, -1 to 1.
    """

    surface: str
    kind: str
    score: float


def nearest_units(encoder: Encoder, index: UnitIndex, units: Sequence[int], k: int) -> list[Neighbor]:
    """Units nearest to the sum of some units' codes, each of unit length.

    Args:
        encoder: has codes and lexicon.
        index: over the codes.
        units: at least one.
        k: how many.
    """
    total = F.normalize(encoder.codes[list(units)].float(), dim=-1).sum(dim=0, keepdim=True)
    scores, found = index.nearest(total, k)
    lexicon = encoder.segmenter.lexicon
    return [
        Neighbor(lexicon.surfaces[unit], lexicon.kinds[unit], min(float(score), 1.0))
        for unit, score in zip(found[0].tolist(), scores[0].tolist(), strict=True)
    ]
