"""The public API: load a trained Lexivert, write texts as vectors, read vectors back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.codes.superposition import split_parts
from lexivert.controller import storage
from lexivert.controller.controller import Controller
from lexivert.controller.observation import Observation
from lexivert.controller.results import DecodeResult, Step
from lexivert.generation.hill_climbing import HillClimbing
from lexivert.search.unit_index import UnitIndex
from lexivert.text.lexicon import WIKITEXT
from lexivert.text.tokenizer import normalize

_TEXTS_AT_ONCE = 64
_OPEN_ENDS = 2  # last units of a known beginning that may be spelled otherwise

__all__ = ["Lexivert", "Neighbor", "Reading", "Step"]


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


@dataclass(frozen=True)
class Reading:
    """A text read back from a vector, with what is known of it.

    Attributes:
        text: the rebuilt text.
        units: surfaces of the units it was rebuilt from.
        scores: probability that each unit is right, 0 to 1.
        confidence: probability that the text is exactly right, 0 to 1; 0 where only the meaning was known.
        fit: cosine of the given order part with the rebuilt one.
        verified: the rebuilt vector equals the given one, so the text is exactly right.
        steps: the rebuild, if ``trace`` was asked for.
    """

    text: str
    units: tuple[str, ...]
    scores: tuple[float, ...]
    confidence: float
    fit: float
    verified: bool
    steps: tuple[Step, ...]


class Lexivert:
    """Encoder and controller of one trained model.

    Args:
        encoder: text to vector.
        decoder: vector to units.
    """

    def __init__(self, encoder: Encoder, decoder: Controller) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.meaning = HillClimbing(encoder, decoder.parts.prior)

    @classmethod
    def load(cls, path: Path | str = ".") -> Lexivert:
        """Load from a project folder after ``dvc repro``.

        Raises:
            LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
        """
        return cls(*storage.load_model(Paths(Path(path))))

    @property
    def index(self) -> UnitIndex:
        """Nearest units."""
        return self.decoder.parts.index

    @property
    def embed_dim(self) -> int:
        """Width of a vector, D."""
        return self.encoder.embed_dim

    def segment(self, text: str) -> list[str]:
        """Surfaces of the units that a text is written in.

        Raises:
            ValueError: the text holds lone surrogates or more units than a vector is made for.
        """
        return self.encoder.segmenter.surface(self.encoder.segment([text])[0])

    def encode(self, texts: Sequence[str], *, progress: str = "") -> npt.NDArray[np.float32]:
        """Vectors of texts, of unit length; their first S dimensions are the backbone's embedding, scaled.

        Args:
            texts: B strings.
            progress: label of a progress bar; empty for no bar.

        Shape: (B, D).

        Raises:
            ValueError: ``texts`` is one string or holds something else, or a text can't be encoded (see ``segment``).
        """
        if isinstance(texts, str):
            raise ValueError("texts is one string; give a list of strings")  # noqa: TRY004 documented as ValueError
        texts = list(texts)
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"text {row} is of type {type(text).__name__}; give strings")  # noqa: TRY004
        return self.encoder.encode(texts, progress=progress)

    @overload
    def decode(self, vectors: npt.ArrayLike, *, prefix: str = "", banned: Sequence[str] = ()) -> list[str]: ...

    @overload
    def decode(
        self,
        vectors: npt.ArrayLike,
        *,
        scores: Literal[True],
        trace: bool = False,
        prefix: str = "",
        banned: Sequence[str] = (),
    ) -> list[Reading]: ...

    @overload
    def decode(
        self,
        vectors: npt.ArrayLike,
        *,
        trace: Literal[True],
        scores: bool = False,
        prefix: str = "",
        banned: Sequence[str] = (),
    ) -> list[Reading]: ...

    def decode(
        self,
        vectors: npt.ArrayLike,
        *,
        scores: bool = False,
        trace: bool = False,
        prefix: str = "",
        banned: Sequence[str] = (),
    ) -> list[str] | list[Reading]:
        """Read texts back.

        A vector whose order part is zero or missing, such as an ordinary sentence embedding, holds no words to be
        read: it is given a text of like meaning, written by the Selector and revised until its own embedding is near.

        Args:
            vectors: of any positive length. Shape: (B, D), or (B, S) for semantic prefixes alone.
            scores: give back ``Reading``s, with what is known of each text, in place of strings.
            trace: the same, with every step of the rebuild.
            prefix: how every text is known to begin.
            banned: words that no text may hold, in any casing.

        Raises:
            ValueError: wrong shape, a number that is not finite, a zero vector, or a prefix too long for a vector.
        """
        readings = self.read(vectors, trace=trace, prefix=prefix, banned=banned)
        return readings if scores or trace else [reading.text for reading in readings]

    def read(
        self, vectors: npt.ArrayLike, *, trace: bool = False, prefix: str = "", banned: Sequence[str] = ()
    ) -> list[Reading]:
        """Read texts back with all that is known of them; arguments and errors as of ``decode``."""
        checked = self._checked(vectors)
        if isinstance(banned, str):
            raise ValueError("banned is one string; give a list of words")  # noqa: TRY004 documented as ValueError
        units = self._units_with(banned)
        reader = _Reader(
            self.encoder,
            self.decoder.without(units) if units else self.decoder,
            self.meaning.without(units) if units else self.meaning,
            prefix,
            self._starts(prefix),
        )
        readings: list[Reading] = []
        for start in range(0, len(checked), _TEXTS_AT_ONCE):
            readings += reader.read(checked[start : start + _TEXTS_AT_ONCE], trace=trace)
        return readings

    def _starts(self, prefix: str) -> list[list[int]]:
        """Units that a text beginning so may begin with: its last ones may go into longer units with what follows."""
        if not isinstance(prefix, str):
            raise ValueError(f"prefix is of type {type(prefix).__name__}; give a string")  # noqa: TRY004
        units = self.encoder.segment([prefix])[0]
        starts = [units[: len(units) - fewer] for fewer in range(min(_OPEN_ENDS, max(len(units) - 1, 0)) + 1)]
        plain = [start for start in starts if start and start[0] != WIKITEXT]
        limit = self.encoder.config.code.max_units
        return [s for s in (*starts, *([WIKITEXT, *start] for start in plain)) if 0 < len(s) <= limit]

    def _units_with(self, words: Sequence[str]) -> list[int]:
        """Units that hold one of some words as a word of their own, in any casing."""
        if not words:
            return []
        wanted = {word.casefold() for word in words}
        surfaces = self.encoder.segmenter.lexicon.surfaces
        return [unit for unit, surface in enumerate(surfaces) if not wanted.isdisjoint(surface.casefold().split())]

    def neighbors(self, query: str | npt.ArrayLike, k: int = 10) -> list[Neighbor]:
        """Units whose codes are nearest to a text's, or to those of the text that a vector holds.

        A text of several units stands for the sum of their codes, whatever their order.

        Args:
            query: a text, such as a word or phrase, or a vector. Shape: (D,).
            k: how many.

        Raises:
            ValueError: ``k`` is no positive whole number, the text is empty, or text or vector are not valid.
        """
        if not isinstance(k, int | np.integer) or k < 1:
            raise ValueError(f"k is {k}; ask for at least 1 neighbour, a whole number")
        text = query if isinstance(query, str) else self.decode(np.asarray(query)[None])[0]
        units = self.encoder.segment([text])[0]
        if not units:
            raise ValueError("the text is empty; it has no neighbours")
        codes = F.normalize(self.encoder.codes[units].float().sum(dim=0, keepdim=True), dim=-1)
        scores, found = self.index.search_exact(codes, k)
        lexicon = self.encoder.segmenter.lexicon
        return [
            Neighbor(lexicon.surfaces[unit], lexicon.kinds[unit], min(float(score), 1.0))
            for unit, score in zip(found[0].tolist(), scores[0].tolist(), strict=True)
        ]

    def _checked(self, vectors: npt.ArrayLike) -> npt.NDArray[np.float32]:
        array = np.asarray(vectors)
        semantic_width = self.encoder.config.semantic_width
        if array.ndim != 2 or array.shape[1] not in {self.embed_dim, semantic_width}:
            message = f"(B, {self.embed_dim}) is needed, or (B, {semantic_width}) for semantic prefixes alone"
            raise ValueError(f"vectors have shape {array.shape}; {message}")
        if not np.issubdtype(array.dtype, np.number) or np.issubdtype(array.dtype, np.complexfloating):
            raise ValueError(f"vectors are of type {array.dtype}; real numbers are needed")
        wide = array.astype(np.float64)
        bad = ~np.isfinite(wide).all(axis=1)
        if bad.any():
            raise ValueError(f"vector {int(bad.argmax())} holds NaN or infinity")
        empty = ~wide.any(axis=1)
        if empty.any():
            raise ValueError(f"vector {int(empty.argmax())} is zero; there is nothing to read back")
        wide = np.pad(wide, ((0, 0), (0, self.embed_dim - wide.shape[1])))
        order = slice(semantic_width, None)
        for part in (slice(order.start), order):  # tiny or huge numbers stay finite and above zero in float32
            largest = np.abs(wide[:, part]).max(axis=1, keepdims=True)
            wide[:, part] /= np.where(largest > 0, largest, 1.0)
        checked: npt.NDArray[np.float32] = wide.astype(np.float32)
        return checked


@dataclass(frozen=True)
class _Reader:
    """Reads vectors back under what is known of all their texts.

    Attributes:
        encoder: gives the layout and joins units.
        decoder: for vectors with an order part.
        meaning: for semantic prefixes alone.
        prefix: how every text begins.
        starts: units that a text beginning so may begin with.
    """

    encoder: Encoder
    decoder: Controller
    meaning: HillClimbing
    prefix: str
    starts: list[list[int]]

    def read(self, vectors: npt.NDArray[np.float32], *, trace: bool) -> list[Reading]:
        """One reading for each vector. Shape: (B, D)."""
        semantic, order = split_parts(torch.from_numpy(vectors), self.encoder.config.semantic_width)
        readings: dict[int, Reading] = {}
        ordered = order.any(dim=1)
        rows = ordered.nonzero()[:, 0]
        if len(rows):
            readings.update(zip(rows.tolist(), self._from_order(order[rows], semantic[rows], trace), strict=True))
        rows = (~ordered).nonzero()[:, 0]
        if len(rows):
            readings.update(zip(rows.tolist(), self._from_meaning(semantic[rows]), strict=True))
        return [readings[row] for row in range(len(vectors))]

    def _from_order(self, order: Tensor, semantic: Tensor, trace: bool) -> list[Reading]:
        """Read order parts; of several spellings of a prefix the one whose text fits best is taken."""
        best: list[Reading] = []
        for start in self.starts or [[]]:
            fixed = self._fixed(start, len(order)) if start else None
            decoded = self.decoder.decode(Observation.of(order, semantic, fixed), trace=trace)
            found = [self._reading(decoded, row) for row in range(len(order))]
            best = [
                max(pair, key=lambda reading: (reading.text.startswith(normalize(self.prefix)), reading.fit))
                for pair in zip(best or found, found, strict=True)
            ]
        return best

    def _from_meaning(self, semantic: Tensor) -> list[Reading]:
        """Texts of like meaning, of which nothing is certain."""
        fixed = self._fixed(self.starts[0], len(semantic)) if self.starts else None
        segmenter = self.encoder.segmenter
        return [
            Reading(
                text=segmenter.join(units),
                units=tuple(segmenter.surface(units)),
                scores=(0.0,) * len(units),
                confidence=0.0,
                fit=0.0,
                verified=False,
                steps=(),
            )
            for units in self.meaning.generate(semantic, fixed)
        ]

    def _fixed(self, start: list[int], count: int) -> Tensor:
        """Known units at the beginning of texts, -1 elsewhere. Shape: (B, P)."""
        fixed = torch.full((count, self.encoder.config.code.max_units + 1), -1)
        fixed[:, : len(start)] = torch.tensor(start)
        return fixed

    def _reading(self, decoded: DecodeResult, row: int) -> Reading:
        segmenter = self.encoder.segmenter
        return Reading(
            text=segmenter.join(decoded.units[row]),
            units=tuple(segmenter.surface(decoded.units[row])),
            scores=tuple(decoded.scores[row]),
            confidence=0.0 if decoded.confidence is None else float(decoded.confidence[row]),
            fit=max(min(float(decoded.fit[row]), 1.0), 0.0),
            verified=bool(decoded.verified[row]),
            steps=tuple(decoded.steps[row]),
        )
