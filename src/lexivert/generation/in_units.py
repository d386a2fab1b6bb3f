"""Generators that write in units of the lexicon: what is known and what is banned is told to them in units."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.controller.controller import Effort
from lexivert.generation.base import Candidate, GeneratorParts, Request
from lexivert.generation.candidates import ranked, scored
from lexivert.text.banned import Banned
from lexivert.text.lexicon import WIKITEXT
from lexivert.text.wikitext import NOTATION

_ROUNDS = 4
"""How often texts are written anew before what is banned is cut out of them."""


@runtime_checkable
class UnitWriter(Protocol):
    """Writes texts in units."""

    def write(self, prefixes: Tensor, known: Tensor | None = None, seed: int = 0) -> list[list[int]]:
        """One text in units for each prefix.

        Args:
            prefixes: sentence embeddings of any positive length. Shape: (B, S).
            known: units known beforehand, -1 elsewhere. Shape: (B, N).
            seed: of all draws.
        """
        ...

    def without(self, units: Sequence[int]) -> Self:
        """The same writer for texts without some units."""
        ...


@dataclass(frozen=True)
class InUnits:
    """A generator made of a writer in units, one for each effort.

    Texts are written in WikiText's convention only where the prefix is, and their alternatives with other seeds.

    Attributes:
        parts: encoder, and language model if there is one.
        writers: of each effort.
    """

    parts: GeneratorParts
    writers: Mapping[Effort, UnitWriter]

    def generate(self, request: Request) -> list[list[Candidate]]:
        """Candidates for each embedding, the nearest first; see ``Generator``."""
        if not len(request):
            return []
        start = start_of(self.parts.encoder, request.prefix)
        known = self._known(start, len(request)) if start else None
        writer = self._allowed(request, start)
        texts: list[list[str]] = [[] for _ in range(len(request))]
        for seed in range(request.seed, request.seed + request.count):
            for own, units in zip(texts, writer.write(request.embeddings, known, seed), strict=True):
                own.append(self.parts.encoder.segmenter.join(units))
        found = scored(self.parts, request.embeddings, texts)
        return [ranked(candidates, request.count) for candidates in found]

    def _known(self, start: Sequence[int], count: int) -> Tensor:
        """Units at the beginning of every text, -1 elsewhere. Shape: (B, N)."""
        known = torch.full((count, self.parts.encoder.config.code.max_units + 1), -1)
        known[:, : len(start)] = torch.tensor(start)
        return known

    def _allowed(self, request: Request, start: Sequence[int]) -> UnitWriter:
        writer = self.writers[request.effort]
        if start and start[0] == WIKITEXT:
            return WithoutBanned(writer, self._banning(request.banned)) if request.banned else writer
        banned = self._banning((*request.banned, *NOTATION)) if request.banned else self._notation
        return WithoutBanned(writer.without([WIKITEXT]), banned)

    @cached_property
    def _notation(self) -> Banned:
        """WikiText's own marks; looked for among all units once."""
        return self._banning(NOTATION)

    def _banning(self, entries: Sequence[str]) -> Banned:
        return banning(self.parts.encoder, entries)


def banning(encoder: Encoder, entries: Sequence[str]) -> Banned:
    """Words and phrases, banned in a model's lexicon."""
    return Banned(entries, encoder.segmenter.lexicon, encoder.segmenter.detokenizer)


def start_of(encoder: Encoder, prefix: str) -> list[int]:
    """Units of a known beginning; none for the empty one."""
    return encoder.units_of(prefix) if prefix else []


class WithoutBanned:
    """Another writer's texts, none with a banned word or phrase but in what is known beforehand.

    Args:
        writer: writes the texts.
        banned: words and phrases.
    """

    def __init__(self, writer: UnitWriter, banned: Banned) -> None:
        self.writer = writer
        self.banned = banned

    def without(self, units: Sequence[int]) -> WithoutBanned:
        """The same writer for texts without some units."""
        return WithoutBanned(self.writer.without(units), self.banned)

    def write(self, prefixes: Tensor, known: Tensor | None = None, seed: int = 0) -> list[list[int]]:
        """One text in units for each prefix; see ``UnitWriter``."""
        ruled_out = set(self.banned.units)
        texts = self.writer.without(sorted(ruled_out)).write(prefixes, known, seed)
        for _ in range(_ROUNDS):
            rarest = {row: self._rarest(units, known, row) for row, units in enumerate(texts)}
            rows = [row for row, position in rarest.items() if position is not None]
            if not rows:
                return texts
            ruled_out |= {texts[row][position] for row, position in rarest.items() if position is not None}
            writer = self.writer.without(sorted(ruled_out))
            again = writer.write(prefixes[rows], None if known is None else known[rows], seed)
            for row, units in zip(rows, again, strict=True):
                texts[row] = units
        counts = [0] * len(texts) if known is None else (known >= 0).sum(dim=1).tolist()
        return [without_occurrences(self.banned, units, count) for units, count in zip(texts, counts, strict=True)]

    def _rarest(self, units: Sequence[int], known: Tensor | None, row: int) -> int | None:
        return _rarest(self.banned, units, 0 if known is None else int((known[row] >= 0).sum()))


def without_occurrences(banned: Banned, units: Sequence[int], known: int) -> list[int]:
    """What is left of a text when the rarest unit of everything banned in it is cut out, and so on.

    Args:
        banned: words and phrases.
        units: of the text.
        known: so many at its beginning stay.
    """
    left = list(units)
    while (position := _rarest(banned, left, known)) is not None:
        del left[position]
    return left


def _rarest(banned: Banned, units: Sequence[int], known: int) -> int | None:
    """Position of the rarest unit in something banned; None where there is none that may be changed.

    Units are numbered by how often they are used.
    """
    for occurrence in banned.find(units):
        free = [position for position in occurrence.positions if position >= known]
        if free:
            return max(free, key=lambda position: units[position])
    return None
