"""Neighbourhood purity: the neighbours of a unit, tagged by how WordNet relates them to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

TAGS = ("same lemma", "synonym", "related", "opposite", "phrase with it", "unrelated")
"""Tags of a single word's neighbours; the first that holds. "Related" are siblings: senses below one hypernym."""
PHRASE_TAGS = ("same phrase", "synonym", "related", "opposite", "shares a word", "unrelated")
"""Tags of a phrase's neighbours: spelled alike, related by the maps, or with one of its content words."""
BY_MAPS = frozenset({"same lemma", "same phrase", "synonym", "related"})
"""Tags that the maps give, opposites aside, or the same spelling in another case."""
_RELATIONS = {"inflection": "same lemma", "synonym": "synonym", "sibling": "related", "antonym": "opposite"}

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Tagger:
    """Says how two units are related.

    Attributes:
        surfaces: V strings.
        pairs: related ordered pairs by relation, coded ``unit * V + other``, sorted. Shape: (P,) each.
        common: words so frequent that sharing one means nothing, in lower case.
    """

    surfaces: Sequence[str]
    pairs: Mapping[str, Ids]
    common: frozenset[str] = frozenset()

    def tags(self, unit: int, others: Sequence[int]) -> list[str]:
        """Tag each of the other units, as seen from ``unit``."""
        return [self._tag(unit, other) for other in others]

    def related(self, unit: int) -> int:
        """How many units there are whose tag would be one of ``BY_MAPS``."""
        size = len(self.surfaces)
        found = set(self._same_spelling[_spelling(self.surfaces[unit])]) - {unit}
        for relation, codes in self.pairs.items():
            if relation != "antonym":
                first, last = np.searchsorted(codes, (unit * size, (unit + 1) * size))
                found |= set((codes[first:last] % size).tolist())
        return len(found)

    @cached_property
    def _same_spelling(self) -> dict[str, list[int]]:
        """Units by spelling, regardless of case."""
        found: dict[str, list[int]] = {}
        for unit, surface in enumerate(self.surfaces):
            found.setdefault(_spelling(surface), []).append(unit)
        return found

    def _tag(self, unit: int, other: int) -> str:
        own, theirs = _spelling(self.surfaces[unit]), _spelling(self.surfaces[other])
        phrase = " " in own
        if own == theirs:
            return "same phrase" if phrase else "same lemma"
        code = unit * len(self.surfaces) + other
        for relation, tag in _RELATIONS.items():
            codes = self.pairs.get(relation)
            if codes is not None and len(codes):
                place = int(np.searchsorted(codes, code))
                if place < len(codes) and codes[place] == code:
                    return "same phrase" if phrase and tag == "same lemma" else tag
        if phrase:
            return "shares a word" if (set(own.split()) & set(theirs.split())) - self.common else "unrelated"
        return "phrase with it" if own in theirs.split() else "unrelated"


def _spelling(surface: str) -> str:
    return surface.casefold().removeprefix("##")


def purity(tagged: Sequence[Sequence[str]], tags: Sequence[str]) -> dict[str, float]:
    """Share of each tag among all neighbours; ``purity``: of all but unrelated and opposite ones; ``purity_by_maps``.

    Args:
        tagged: the tags of each query's neighbours.
        tags: all that may occur.
    """
    flat = [tag for row in tagged for tag in row]
    shares = {tag.replace(" ", "_"): flat.count(tag) / max(len(flat), 1) for tag in tags}
    by_maps = sum(tag in BY_MAPS for tag in flat) / max(len(flat), 1)
    pure = 1.0 - shares["unrelated"] - shares["opposite"] if flat else 0.0
    return shares | {"purity": pure, "purity_by_maps": by_maps}
