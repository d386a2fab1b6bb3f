"""Readings: texts rebuilt from the order parts of vectors, with what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lexivert import arguments
from lexivert.arguments import Vectors
from lexivert.codes.codebook import Codebook
from lexivert.codes.encoder import Encoder
from lexivert.codes.superposition import parts_of
from lexivert.controller.controller import DRAFT, Controller, Effort
from lexivert.controller.observation import Observation
from lexivert.controller.results import DecodeResult, Step
from lexivert.controller.trace import replay
from lexivert.controller.verification import fit
from lexivert.errors import RowError, TooLongError
from lexivert.text.banned import Banned
from lexivert.text.lexicon import WIKITEXT
from lexivert.text.tokenizer import normalize

_SURE = 0.5  # probability from which on a text that is not verified is written in WikiText's convention
_VECTORS_AT_ONCE = 64
_OPEN_ENDS = 2  # last units of a known beginning that may be spelled otherwise
LIKELY = 0.5
"""Confidence from which on a text is more likely right than wrong."""


@dataclass(frozen=True)
class Reading:
    """A text read back from a vector, with what is known of it.

    Attributes:
        text: the rebuilt text.
        units: surfaces of the units it was rebuilt from.
        scores: probability that each unit is right, 0 to 1.
        confidence: probability that the text is exactly right, 0 to 1; 0 where a doubtful ``<wikitext>`` was left
            out, since the vector says another text then.
        fit: cosine of the given order part with the rebuilt one.
        verified: the text, encoded again, gives the very vector, which certifies that it is exactly right.
        steps: the rebuild, if ``trace`` was asked for.
    """

    text: str
    units: tuple[str, ...]
    scores: tuple[float, ...]
    confidence: float
    fit: float
    verified: bool
    steps: tuple[Step, ...]

    @property
    def doubtful(self) -> bool:
        """Whether the text is more likely wrong than right."""
        return self.confidence < LIKELY


class _Begun(NamedTuple):
    """A reading, and the units that its text was to begin with; none where it was read without."""

    reading: Reading
    start: list[int]


@dataclass(frozen=True)
class Budget:
    """How far reading goes for vectors that the decoding loops do not read for sure.

    Attributes:
        effort: see ``controller.EFFORTS``.
        max_seconds: a text; None: what the params say.
    """

    effort: Effort = DRAFT
    max_seconds: float | None = None


@dataclass(frozen=True)
class Reader:
    """Reads vectors back under what is known of all their texts.

    Attributes:
        encoder: gives the layout and joins units.
        decoder: for vectors with an order part.
        prefix: how every text begins.
        budget: how far reading goes.
        banned: what no text may contain.
    """

    encoder: Encoder
    decoder: Controller
    prefix: str
    budget: Budget = Budget()
    banned: Banned | None = None

    @classmethod
    def of(
        cls, encoder: Encoder, decoder: Controller, prefix: str, banned: Sequence[str], budget: Budget | None = None
    ) -> Reader:
        """A reader of texts without some words and phrases, see ``checked_banned``.

        Raises:
            ValueError: see ``starts``, even where there is no vector.
        """
        reader = cls(encoder, decoder, prefix, budget or Budget())
        if banned:
            found = Banned(banned, encoder.segmenter.lexicon, encoder.segmenter.detokenizer)
            reader = replace(reader, decoder=decoder.without(found), banned=found)
        reader.starts  # noqa: B018 found now, once and for all
        return reader

    def read(self, vectors: Vectors, *, trace: bool) -> list[Reading]:
        """One reading for each vector. Shape: (B, D).

        Raises:
            RowError: a vector has no order part.
        """
        wordless = ~vectors[:, self.encoder.config.semantic_width :].any(axis=1)
        if wordless.any():
            reason = "has no order part, so there is nothing to read; `generate` writes a text of like meaning"
            raise RowError("vector", int(wordless.argmax()), reason)
        readings: list[Reading] = []
        for start in range(0, len(vectors), _VECTORS_AT_ONCE):
            given = torch.from_numpy(vectors[start : start + _VECTORS_AT_ONCE]).to(self.decoder.codebook.device)
            semantic, order = parts_of(given, self.encoder.config.semantic_width)
            readings += self.decode(order, semantic, trace)
        return readings

    def decode(self, order: Tensor, semantic: Tensor, trace: bool) -> list[Reading]:
        """Read order parts, first without the known beginning: where the text begins so by itself, that is enough.

        Else the beginning is imposed, in one of its spellings after the other, until a text is likely right; of
        several the one that fits best is taken. Where the vector proves that its text begins otherwise, that has no
        confidence. Only then, and under that one spelling alone, is a text searched for.

        Shape: order (B, O), semantic (B, S).
        """
        if not self.starts:
            return self._readings(Observation.of(order, semantic), trace, self.budget.effort)
        plain = self._readings(Observation.of(order, semantic), trace, DRAFT)
        best = {row: _Begun(reading, []) for row, reading in enumerate(plain) if self._begins(reading)}
        for start in self.starts:
            rows = [row for row in range(len(plain)) if row not in best or not self._likely(best[row].reading)]
            if rows:
                observed = Observation.of(order[rows], semantic[rows], self._fixed([start] * len(rows)))
                for row, reading in zip(rows, self._readings(observed, trace, DRAFT), strict=True):
                    found = _Begun(reading, start)
                    best[row] = max(best.get(row, found), found, key=self._rank)
        refuted = [one.verified and not best[row].reading.verified for row, one in enumerate(plain)]
        open_rows = [row for row, wrong in enumerate(refuted) if not wrong and not best[row].reading.verified]
        self._search(best, open_rows, Observation.of(order, semantic), trace)
        readings = [best[row].reading for row in range(len(plain))]
        return [replace(own, confidence=0.0) if wrong else own for own, wrong in zip(readings, refuted, strict=True)]

    def _rank(self, begun: _Begun) -> tuple[bool, float]:
        return self._begins(begun.reading), begun.reading.fit

    def _search(self, best: dict[int, _Begun], rows: list[int], observed: Observation, trace: bool) -> None:
        """Search rows on, each under the spelling that it was read best with; what no longer begins so is dropped."""
        if self.budget.effort == DRAFT or not rows:
            return
        known = self._fixed([best[row].start for row in rows])
        chosen = Observation.of(observed.order[rows], observed.prefix[rows], known)
        for row, found in zip(rows, self._readings(chosen, trace, self.budget.effort), strict=True):
            if self._begins(found):
                best[row] = best[row]._replace(reading=found)

    def _readings(self, observed: Observation, trace: bool, effort: Effort) -> list[Reading]:
        found = self.decoder.decode(observed, trace=trace, effort=effort, max_seconds=self.budget.max_seconds)
        decoded = _ordinary(found, observed, self.decoder.codebook)
        return [self._reading(decoded, row) for row in range(len(observed))]

    def _begins(self, reading: Reading) -> bool:
        return reading.text.startswith(normalize(self.prefix))

    def _likely(self, reading: Reading) -> bool:
        """Whether a reading under the known beginning needs no other spelling of it to be tried."""
        return reading.verified or (self._begins(reading) and reading.confidence >= LIKELY)

    @cached_property
    def starts(self) -> list[list[int]]:
        """Units that a text with this prefix may begin with; its last ones may join longer units with what follows.

        Raises:
            ValueError: the prefix is no string, too long for a vector, or holds what is banned.
        """
        if not isinstance(self.prefix, str):
            raise ValueError(f"prefix is of type {type(self.prefix).__name__}; give a string")  # noqa: TRY004
        try:
            units = self.encoder.written(self.prefix)[1]
        except ValueError as error:
            raise ValueError(f"prefix {str(error).removeprefix('text ')}") from error
        if self.banned and (found := self.banned.find(units)):
            raise ValueError(f"prefix holds {found[0].entry.text!r}, which is banned")
        starts = [units[: len(units) - fewer] for fewer in range(min(_OPEN_ENDS, max(len(units) - 1, 0)) + 1)]
        plain = [start for start in starts if start and start[0] != WIKITEXT]
        limit = self.encoder.config.code.max_units
        return [s for s in (*starts, *([WIKITEXT, *start] for start in plain)) if 0 < len(s) <= limit]

    def _fixed(self, starts: list[list[int]]) -> Tensor:
        """Known units at the beginning of B texts, -1 elsewhere. Shape: (B, P)."""
        device = self.decoder.codebook.device
        fixed = torch.full((len(starts), self.encoder.config.code.max_units + 1), -1, device=device)
        for row, start in enumerate(starts):
            fixed[row, : len(start)] = torch.tensor(start, dtype=torch.int64, device=device)
        return fixed

    def _reading(self, decoded: DecodeResult, row: int) -> Reading:
        segmenter = self.encoder.segmenter
        units, scores = decoded.units[row], decoded.scores[row]
        return Reading(
            text=segmenter.join(units),
            units=tuple(segmenter.surface(units)),
            scores=tuple(scores),
            confidence=0.0 if decoded.confidence is None else float(decoded.confidence[row]),
            fit=max(min(float(decoded.fit[row]), 1.0), 0.0),
            verified=bool(decoded.verified[row]),
            steps=tuple(decoded.steps[row]),
        )


def checked_banned(encoder: Encoder, banned: Any) -> list[str]:
    """Words and phrases that no text may contain, as a list.

    Raises:
        ValueError: see ``arguments.check_banned``.
        RowError: no text has room for one, so that it would have no effect.
    """
    entries = arguments.check_banned(banned)
    for row, entry in enumerate(entries):
        try:
            encoder.units_of(entry)
        except TooLongError as error:
            raise RowError("banned word", row, f"{error}, so it is in no text anyway") from error
    return entries


def _ordinary(found: DecodeResult, observed: Observation, codebook: Codebook) -> DecodeResult:
    """Texts without a doubtful ``<wikitext>``: ordinary text, as long as nothing says otherwise.

    All that is known of such a text is that of what is returned: every unit stands a position before where it was
    read, so fit and steps are found anew.

    Args:
        found: B texts.
        observed: their vectors.
        codebook: codes and binding.
    """
    pairs = zip(found.units, found.scores, found.verified.tolist(), strict=True)
    doubtful = [units[:1] == [WIKITEXT] and not certain and scores[0] < _SURE for units, scores, certain in pairs]
    rows = [row for row, is_doubtful in enumerate(doubtful) if is_doubtful]
    if not rows:
        return found
    units, scores, steps = list(found.units), list(found.scores), list(found.steps)
    fits = found.fit.clone()
    confidence = None if found.confidence is None else found.confidence.clone()
    for row in rows:
        order = observed.order[row : row + 1]
        units[row], scores[row] = units[row][1:], scores[row][1:]
        fits[row] = fit(order, codebook.superpose([units[row]]))[0]
        if steps[row]:
            steps[row] = replay(order, codebook, units[row], scores[row])
        if confidence is not None:
            confidence[row] = 0.0
    return replace(found, units=units, scores=scores, steps=steps, fit=fits, confidence=confidence)
