"""Texts written for sentence embeddings, and maps from other encoders' embeddings to the backbone's."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy.typing as npt
import torch
import torch.nn.functional as F

from lexivert import arguments
from lexivert.arguments import Vectors
from lexivert.codes.encoder import Encoder
from lexivert.controller.controller import Controller, Effort
from lexivert.errors import GenerationWarning, RowError
from lexivert.generation import language_model_search
from lexivert.generation.alignment import Alignment, check_pairs
from lexivert.generation.base import Candidate, Generated, Generator, GeneratorParts, Request
from lexivert.generation.params import AUTO, WritingParams
from lexivert.generation.registry import make_generator
from lexivert.reading import Reader, checked_banned
from lexivert.text.tokenizer import normalize

_TEXTS_AT_ONCE = 64

_FALLBACK = {
    "conditional model": "so hill climbing finds words, no sentences; run `dvc repro "
    "generation/dvc.yaml:conditional` in the project (a model folder has it with include_language_model=True)",
    "language model": "so hill climbing finds words, no sentences; name one as language_model.model in the project's "
    "params.yaml",
}
"""What is written with where a part is missing, and what to do."""


@dataclass(frozen=True)
class Writer:
    """Writes texts for embeddings with the parts of one model.

    Attributes:
        encoder: of the model.
        decoder: of the model.
        generation: folder of generators' trained parts; looked at when a text is first written. None for none.
        params: which generator writes, and those of its search.
    """

    encoder: Encoder
    decoder: Controller
    generation: Path | None
    params: WritingParams

    def write(
        self,
        embeddings: npt.ArrayLike,
        n: int,
        effort: Effort,
        prefix: str,
        banned: Sequence[str],
        alignment: Alignment | str | Path | None,
        watch: Callable[[list[Candidate]], None] | None,
    ) -> list[Generated]:
        """One text for each embedding; arguments and errors as of ``Lexivert.generate``."""
        request = replace(self._request(embeddings, n, effort, prefix, banned, alignment), watch=watch)
        found: list[Generated] = []
        for start in range(0, len(request), _TEXTS_AT_ONCE):
            part = request.only(range(start, min(start + _TEXTS_AT_ONCE, len(request))))
            found += map(Generated.of, self.generator.generate(part))
        return found

    def _request(
        self,
        embeddings: npt.ArrayLike,
        n: int,
        effort: Effort,
        prefix: str,
        banned: Sequence[str],
        alignment: Alignment | str | Path | None,
    ) -> Request:
        """The arguments of ``write``, checked."""
        count, effort = arguments.check_count(n, "n", "text"), arguments.check_effort(effort)
        entries = checked_banned(self.encoder, banned)
        Reader.of(self.encoder, self.decoder, prefix, entries)  # says what is wrong with the prefix
        unit = torch.from_numpy(self.directions(embeddings, alignment)).to(self.decoder.codebook.device)
        return Request(unit, count, effort, normalize(prefix), tuple(entries))

    def directions(self, embeddings: npt.ArrayLike, alignment: Alignment | str | Path | None = None) -> Vectors:
        """The backbone's sentence embeddings that texts are written for; arguments and errors as of ``write``.

        Shape: (B, S), unit length.
        """
        if alignment is not None:
            alignment = _alignment(alignment)
            foreign = arguments.check_foreign(embeddings, alignment.width)
            embeddings = alignment.apply(foreign, self.encoder.backbone.fingerprint())
        width = self.encoder.config.semantic_width
        checked = arguments.check_vectors(embeddings, self.encoder.embed_dim, width)
        semantic = checked[:, :width]
        empty = ~semantic.any(axis=1)
        if empty.any():
            raise RowError("vector", int(empty.argmax()), "has no semantic prefix; there is nothing to write about")
        unit: Vectors = F.normalize(torch.from_numpy(semantic), dim=1).numpy()
        return unit

    @cached_property
    def generator(self) -> Generator:
        """What writes: the best generator that the model has the parts for."""
        parts = self.parts
        if self.params.generator == AUTO and (missing := language_model_search.missing_part(parts)):
            message = f"there is no {missing}, {_FALLBACK[missing]}"
            warnings.warn(message, GenerationWarning, stacklevel=5)  # of who called `generate` of the model
        return make_generator(self.params.generator, parts)

    @cached_property
    def parts(self) -> GeneratorParts:
        """What generators are made of; what is chosen by itself reads the language model only where it is of use."""
        folder, search = self.folder, self.decoder.search
        is_wanted = folder is not None or self.params.generator != AUTO
        language_model = search.source.load() if search is not None and is_wanted else None
        return GeneratorParts(
            self.encoder, self.decoder.parts.prior, language_model, None, folder, self.params.search
        )

    @property
    def folder(self) -> Path | None:
        """Folder of generators' trained parts, if there is one."""
        return self.generation if self.generation is not None and self.generation.is_dir() else None


def align(
    own: Encoder,
    texts: Sequence[str],
    embeddings: npt.ArrayLike,
    *,
    encoder: str,
    fingerprint: str,
    progress: str,
) -> Alignment:
    """Fit a map from another encoder's embeddings to those of our own; see ``Lexivert.align``."""
    encoder = arguments.check_text(encoder, "encoder")
    fingerprint = arguments.check_text(fingerprint, "fingerprint")
    listed = arguments.check_texts(texts)
    foreign = arguments.check_foreign(embeddings)
    if len(listed) != len(foreign):
        raise ValueError(f"{len(listed)} texts, but {len(foreign)} embeddings; an embedding a text is needed")
    rows: dict[str, int] = {}
    for row, text in enumerate(listed):
        rows.setdefault(_with_meaning(text, row), row)
    check_pairs(len(rows), len(listed))
    ours = own.backbone.encode(list(rows), progress=progress)
    backbone, chosen = own.backbone.fingerprint(), foreign[list(rows.values())]
    found = Alignment.of(chosen, ours, encoder=encoder, backbone=backbone, fingerprint=fingerprint)
    if not found.fit.beats_baseline:
        message = (
            f"mapped embeddings, of cosine {found.fit.cosine:.3f} with the true ones, are not surely nearer than "
            f"the mean of all, {found.fit.baseline:.3f}: the texts are too alike, or the embeddings not theirs"
        )
        warnings.warn(message, GenerationWarning, stacklevel=3)  # of who called `align` of the model
    return found


def _alignment(given: Any) -> Alignment:
    if isinstance(given, Alignment):
        return given
    if not isinstance(given, str | Path):
        raise ValueError(  # noqa: TRY004 documented as ValueError
            f"alignment is of type {type(given).__name__}; give one of `align`, or the folder of one"
        )
    return Alignment.load(given)


def _with_meaning(text: str, row: int) -> str:
    """A text as it is encoded, unless it has no meaning that could be paired."""
    try:
        found = normalize(text)
    except ValueError as error:
        raise RowError("text", row, str(error).removeprefix("text ")) from error
    if not found:
        raise RowError("text", row, "is empty; it has no meaning")
    return found
