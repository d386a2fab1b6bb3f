"""The public API: load a trained Lexivert, write texts as vectors, read vectors back, write texts for embeddings."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, overload

import numpy.typing as npt
import torch
import torch.nn.functional as F

from lexivert import arguments
from lexivert.arguments import Vectors
from lexivert.codes.encoder import Encoder
from lexivert.controller.capacity import Capacity
from lexivert.controller.controller import DRAFT, Controller, Effort
from lexivert.controller.results import Step
from lexivert.errors import ReadingWarning, TooLongError
from lexivert.generation.alignment import Alignment
from lexivert.generation.base import Candidate, Generated, Generator, GeneratorParts
from lexivert.generation.params import WritingParams
from lexivert.neighbors import Neighbor, nearest_units
from lexivert.pretrained import Pretrained
from lexivert.reading import Budget, Reader, Reading, checked_banned
from lexivert.search.unit_index import UnitIndex
from lexivert.writing import align

_SHOWN = 10  # rows that a warning names

__all__ = ["Lexivert", "Neighbor", "Reading", "Step"]


class Lexivert(Pretrained, library_name="lexivert", tags=["lexivert"]):
    """Encoder and decoder of one trained model.

    Texts may be given as any sequence of strings, vectors as an array, a tensor or nested lists; a column of a table
    (pandas, polars, pyarrow, datasets) serves for either, and in pandas ``table["vector"] =
    list(model.encode(table["text"]))`` puts vectors into one.

    Args:
        encoder: text to vector.
        decoder: vector to units.
        generation: folder of generators' trained parts; looked at when a text is first written. None for none.
        writing: which generator writes, and params of its search; the best one that there are parts for if None.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Controller,
        generation: Path | None = None,
        writing: WritingParams | None = None,
    ) -> None:
        super().__init__(encoder, decoder, generation, writing)
        self._capacity = Capacity(decoder.codebook, decoder.parts.prior)

    @property
    def index(self) -> UnitIndex:
        """Nearest units."""
        return self.decoder.parts.index

    @property
    def embed_dim(self) -> int:
        """Width of a vector, D."""
        return self.encoder.embed_dim

    @property
    def semantic_width(self) -> int:
        """Width of the semantic prefix, S."""
        return self.encoder.config.semantic_width

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides a vector; models with the same one read each other's vectors."""
        return self.encoder.fingerprint

    def segment(self, text: str) -> list[str]:
        """Surfaces of the units that a text is written in.

        Raises:
            ValueError: it is no string, holds lone surrogates, or has more units than a vector is made for.
        """
        return self.encoder.segmenter.surface(self._units(text))

    def _units(self, text: str) -> list[int]:
        try:
            return self.encoder.written(arguments.check_text(text))[1]
        except TooLongError as error:
            raise ValueError(f"text {error}: split the text") from error

    def fits(self, text: str) -> bool:
        """Whether a vector can take a text; one of far too many characters is refused at once.

        Raises:
            ValueError: it is no string or holds lone surrogates.
        """
        return self.encoder.fits(arguments.check_text(text))

    def encode(self, texts: Sequence[str], *, progress: str = "") -> Vectors:
        """Vectors of texts, of unit length; their first S dimensions are the backbone's embedding, scaled.

        A ``ReadingWarning`` names texts that are too surprising to be read back exactly, see ``surprising``.

        Args:
            texts: B strings.
            progress: label of a progress bar; empty for no bar.

        Shape: (B, D).

        Raises:
            ValueError: ``texts`` is one string, a table, or no sequence.
            RowError: a text is no string or can't be encoded (see ``segment``); a ValueError with its ``row``.
        """
        prepared = self.encoder.prepared(arguments.check_texts(texts))
        vectors = self.encoder.encode_segmented(*prepared, progress=progress)
        if rows := self.surprising(prepared[1], vectors):
            message = (
                f"more surprising than the {self._capacity.bits:.0f} bits that a vector is expected to give back"
            )
            warnings.warn(f"{_named('text', rows)}: {message} exactly", ReadingWarning, stacklevel=2)
        return vectors

    def surprising(self, units: Sequence[Sequence[int]], vectors: Vectors) -> list[int]:
        """Rows of texts whose vectors are not expected to give them back exactly, see ``controller.capacity``.

        Args:
            units: unit ids of each text.
            vectors: theirs. Shape: (B, D).
        """
        prefixes = torch.from_numpy(vectors[:, : self.semantic_width]).to(self.decoder.codebook.device)
        return self._capacity.exceeded(units, F.normalize(prefixes, dim=1))

    @overload
    def decode(
        self,
        vectors: npt.ArrayLike,
        *,
        prefix: str = "",
        banned: Sequence[str] = (),
        effort: Effort = DRAFT,
        max_seconds: float | None = None,
    ) -> list[str]: ...

    @overload
    def decode(
        self,
        vectors: npt.ArrayLike,
        *,
        scores: Literal[True],
        trace: bool = False,
        prefix: str = "",
        banned: Sequence[str] = (),
        effort: Effort = DRAFT,
        max_seconds: float | None = None,
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
        effort: Effort = DRAFT,
        max_seconds: float | None = None,
    ) -> list[Reading]: ...

    def decode(
        self,
        vectors: npt.ArrayLike,
        *,
        scores: bool = False,
        trace: bool = False,
        prefix: str = "",
        banned: Sequence[str] = (),
        effort: Effort = DRAFT,
        max_seconds: float | None = None,
    ) -> list[str] | list[Reading]:
        """Read texts back.

        A vector whose order part is zero or missing, such as an ordinary sentence embedding, holds no words to be
        read, see ``generate``. Where strings are given back, a ``ReadingWarning`` names those that are doubtful, of
        confidence below one half.

        Args:
            vectors: of any positive length. Shape: (B, D).
            scores: give back ``Reading``s, with what is known of each text, in place of strings.
            trace: the same, with every step of the rebuild.
            prefix: how every text is known to begin.
            banned: words and phrases that no text may contain, in any casing and however they are spelled in units;
                see ``text.banned.Banned``. What stands in their place is the likeliest that may.
            effort: ``draft``: the decoding loops alone; ``normal`` or ``high``: texts that they do not read for sure
                are then searched for with the language model, which takes seconds each.
            max_seconds: a text, after which its search begins nothing new; what the params say if None. Draft has no
                search.

        Raises:
            LexivertError: there is no language model for the effort.
            ValueError: effort or seconds are none, wrong shape, a prefix too long for a vector, or one that holds
                what is banned.
            RowError: a vector that is zero or has no order part, a number that is not finite, or a banned entry that
                is no text or too long to occur in one; a ValueError with its ``row``.
        """
        readings = self.read(
            vectors, trace=trace, prefix=prefix, banned=banned, effort=effort, max_seconds=max_seconds
        )
        if scores or trace:
            return readings
        if rows := [row for row, reading in enumerate(readings) if reading.doubtful]:
            message = "read with a confidence below 0.5, see `read`"
            warnings.warn(f"{_named('text', rows)}: {message}", ReadingWarning, stacklevel=2)
        return [reading.text for reading in readings]

    def read(
        self,
        vectors: npt.ArrayLike,
        *,
        trace: bool = False,
        prefix: str = "",
        banned: Sequence[str] = (),
        effort: Effort = DRAFT,
        max_seconds: float | None = None,
    ) -> list[Reading]:
        """Read texts back with all that is known of them; arguments and errors as of ``decode``."""
        checked = arguments.check_vectors(vectors, self.embed_dim, self.semantic_width)
        budget = Budget(arguments.check_effort(effort), arguments.check_seconds(max_seconds, effort))
        entries = checked_banned(self.encoder, banned)
        return Reader.of(self.encoder, self.decoder, prefix, entries, budget).read(checked, trace=trace)

    def generate(
        self,
        embeddings: npt.ArrayLike,
        n: int = 1,
        *,
        effort: Effort = "normal",
        prefix: str = "",
        banned: Sequence[str] = (),
        alignment: Alignment | str | Path | None = None,
        watch: Callable[[list[Candidate]], None] | None = None,
    ) -> list[Generated]:
        """Write fluent texts whose meaning is that of sentence embeddings, such as predicted or averaged ones.

        Another text than the one that was embedded, as a rule: an embedding does not tell words and order. A
        ``GenerationWarning`` says, once, that a model lacks the parts that sentences take.

        Args:
            embeddings: of the backbone, of any positive length; of full vectors the semantic prefix is taken. With
                ``alignment``, those of another encoder. Shape: (B, S) or (B, D).
            n: texts wanted for each; all but the best are its ``alternatives``.
            effort: draft, normal or high.
            prefix: how every text shall begin.
            banned: words and phrases that no text may contain, see ``decode``.
            alignment: maps another encoder's embeddings to the backbone's: one of ``align``, or the folder of one.
            watch: called with the best texts so far, of at most 64 embeddings at once, after drafts and revisions.

        Raises:
            ValueError, RowError: see ``decode``; a vector without a semantic prefix, another ``effort``, or an
                alignment to another backbone.
        """
        return self._writer.write(embeddings, n, effort, prefix, banned, alignment, watch)

    def align(
        self,
        texts: Sequence[str],
        embeddings: npt.ArrayLike,
        *,
        encoder: str = "",
        fingerprint: str = "",
        progress: str = "",
    ) -> Alignment:
        """Fit a map from another encoder's embeddings, so that ``generate`` can write texts for them.

        Of texts that are the same, the first counts. A ``GenerationWarning`` says if mapped embeddings are no nearer
        than the mean of all is, see ``Fit.baseline``: then texts are too alike, or embeddings not of these texts.

        Args:
            texts: B strings, 1,000 to 5,000 of the kind that is to be written.
            embeddings: the other encoder's of these texts, of any positive length. Shape: (B, F).
            encoder: its name, shown where other embeddings are refused.
            fingerprint: of it; vectors that carry another one are refused by `lexivert write`.
            progress: label of a progress bar; empty for no bar.

        Raises:
            ValueError: not as many texts as embeddings, too few texts, see ``Alignment.of``, or see ``encode`` and
                ``decode``.
            RowError: a text is empty, or can't be encoded; a ValueError with its ``row``.
        """
        return align(self.encoder, texts, embeddings, encoder=encoder, fingerprint=fingerprint, progress=progress)

    def directions(self, embeddings: npt.ArrayLike, alignment: Alignment | str | Path | None = None) -> Vectors:
        """The backbone's sentence embeddings that ``generate`` writes texts for, by themselves; arguments as of it.

        Shape: (B, S), unit length.

        Raises:
            ValueError, RowError: see ``generate``.
        """
        return self._writer.directions(embeddings, alignment)

    @property
    def generator(self) -> Generator:
        """What ``generate`` uses: the best generator that the model has the parts for."""
        return self._writer.generator

    @property
    def generator_parts(self) -> GeneratorParts:
        """What generators are made of."""
        return self._writer.parts

    def neighbors(self, query: str | npt.ArrayLike, k: int = 10) -> list[Neighbor]:
        """Units whose codes are nearest to a text's, or to those of the text that a vector holds.

        A text of several units stands for the sum of their codes, whatever their order.

        Args:
            query: a text, such as a word or phrase, or a vector. Shape: (D,) or (S,).
            k: how many.

        Raises:
            ValueError: ``k`` is no positive integer, the text is empty, or text or vector are not valid.
        """
        k = arguments.check_count(k)
        text = query if isinstance(query, str) else self._text_of(query)
        units = self._units(text)
        if not units:
            raise ValueError("the text is empty; it has no neighbours")
        return nearest_units(self.encoder, self.index, units, k)

    def _text_of(self, query: npt.ArrayLike) -> str:
        return self.decode(arguments.check_query(query, self.embed_dim)[None])[0]


def _named(kind: str, rows: Sequence[int]) -> str:
    """Some rows, at most ten of them by their numbers."""
    numbers = ", ".join(map(str, rows[:_SHOWN]))
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return f"{kind} {numbers}{more}" if len(rows) == 1 else f"{kind}s {numbers}{more}"
