"""The public API: load a trained Lexivert, write texts as vectors, read vectors back, save and share the model."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, overload

import numpy.typing as npt
import torch
import torch.nn.functional as F
from huggingface_hub import ModelHubMixin, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from lexivert import arguments
from lexivert.arguments import Vectors
from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.controller import model_folder, storage
from lexivert.controller.capacity import Capacity
from lexivert.controller.controller import DRAFT, Controller, Effort
from lexivert.controller.results import Step
from lexivert.encoders.huggingface import is_local
from lexivert.errors import GenerationWarning, LexivertError, ReadingWarning, RowError, TooLongError
from lexivert.generation import language_model_search
from lexivert.generation.alignment import Alignment, check_pairs
from lexivert.generation.base import Candidate, Generated, Generator, GeneratorParts, Request
from lexivert.generation.params import AUTO, WritingParams, travelling, writing_of
from lexivert.generation.registry import make_generator
from lexivert.reading import Budget, Reader, Reading
from lexivert.search.unit_index import UnitIndex
from lexivert.text.banned import Banned
from lexivert.text.tokenizer import normalize

_TEXTS_AT_ONCE = 64
_SHOWN = 10  # rows that a warning names

_FALLBACK = {
    "conditional model": "so hill climbing finds words, no sentences; run `dvc repro "
    "generation/dvc.yaml:conditional` in the project (a model folder has it with include_language_model=True)",
    "language model": "so hill climbing finds words, no sentences; name one as language_model.model in the project's "
    "params.yaml",
}
"""What is written with where a part is missing, and what to do."""

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


class Lexivert(ModelHubMixin, library_name="lexivert", tags=["lexivert"]):
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
        self.encoder = encoder
        self.decoder = decoder
        self._generation = generation
        self._writing = writing or WritingParams()
        self._capacity = Capacity(decoder.codebook, decoder.parts.prior)

    @classmethod
    def load(cls, path: Path | str = ".", *, device: str | None = None) -> Self:
        """Load from a project folder after ``dvc repro``.

        Args:
            path: the project folder.
            device: auto, cpu, cuda or mps; what ``backbone.device`` in the project's params says if None.

        Raises:
            LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
        """
        paths = Paths(Path(path))
        return cls(*storage.load_model(paths, device), paths.generation, writing_of(paths.root))

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, *, device: str = "auto", **hub: Any) -> Self:
        """Load from a model folder that ``save_pretrained`` wrote, or from the Hugging Face hub.

        Vectors and texts read are those of the model that was saved, to the byte on the same kind of machine. A
        backbone that is not in the folder comes from its package or the hub, and must be the one it was made with.

        Args:
            pretrained_model_name_or_path: a folder, or a hub id such as ``name/model``.
            device: auto (cuda, else mps, else cpu), cpu, cuda or mps.
            **hub: for hub ids, ``revision``, ``token``, ``cache_dir``, ``force_download`` and ``local_files_only``.

        Raises:
            LexivertError: a file is missing or damaged, of another format version, the backbone is another one, or
                the hub has no such model or can't be reached.
        """
        name = str(pretrained_model_name_or_path)
        if is_local(name) or isinstance(pretrained_model_name_or_path, Path):
            return cls._of_folder(Path(name).expanduser(), device)
        with _hub_explained(name):
            return super().from_pretrained(name, device=device, **hub)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, device: str = "auto", **hub: Any) -> Self:
        """Fetch a model from the hub; called by the mixin."""
        wanted = [*model_folder.FILES, *(f"{name}/*" for name in model_folder.FOLDERS)]
        return cls._of_folder(Path(snapshot_download(model_id, allow_patterns=wanted, **hub)), device)

    @classmethod
    def _of_folder(cls, folder: Path, device: str) -> Self:
        generation = folder / model_folder.GENERATION
        return cls(*model_folder.read(folder, device), generation, travelling(generation / model_folder.SEARCH))

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        include_backbone: bool = True,
        include_language_model: bool = False,
        repo_id: str | None = None,
        push_to_hub: bool = False,
        **hub: Any,
    ) -> str | None:
        """Write a model folder that loads anywhere, all of it or nothing; see ``controller.model_folder``.

        Weights are safetensors, tables Parquet, the rest JSON. A Flat FAISS index is built anew when it is needed;
        other kinds are kept in FAISS's own format.

        Args:
            save_directory: made, or replaced if it holds a model and nothing else.
            include_backbone: with the backbone's weights and tokeniser; without, its package or hub id is named and
                its fingerprint kept.
            include_language_model: with what ``effort`` above draft and ``generate`` need, of which the packaged one
                is 270 MB.
            repo_id: on the hub; the folder's name if None.
            push_to_hub: upload it, too.
            **hub: options of ``push_to_hub``.

        Returns:
            Address of the upload, or None.

        Raises:
            LexivertError: the folder holds something else, or a backbone that only this machine has is left out.
        """
        folder = Path(save_directory)
        model_folder.write(
            folder,
            self.encoder,
            self.decoder,
            include_backbone=include_backbone,
            include_language_model=include_language_model,
            generation=self.generator_folder,
            search=None if self._writing.search is None else self._writing.search.model_dump(),
        )
        if not push_to_hub:
            return None
        if not include_backbone:
            hub.setdefault("ignore_patterns", [f"{model_folder.BACKBONE}/*"])
        return str(self.push_to_hub(repo_id or folder.resolve().name, **hub))

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
        return self._read(checked, prefix, banned, budget, trace=trace)

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
        request = replace(self._request(embeddings, n, effort, prefix, banned, alignment), watch=watch)
        found: list[Generated] = []
        for start in range(0, len(request), _TEXTS_AT_ONCE):
            part = request.only(range(start, min(start + _TEXTS_AT_ONCE, len(request))))
            found += map(Generated.of, self.generator.generate(part))
        return found

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
        encoder, fingerprint = (
            arguments.check_text(encoder, "encoder"),
            arguments.check_text(fingerprint, "fingerprint"),
        )
        listed = arguments.check_texts(texts)
        foreign = arguments.check_foreign(embeddings)
        if len(listed) != len(foreign):
            raise ValueError(f"{len(listed)} texts, but {len(foreign)} embeddings; an embedding a text is needed")
        rows: dict[str, int] = {}
        for row, text in enumerate(listed):
            rows.setdefault(_with_meaning(text, row), row)
        check_pairs(len(rows), len(listed))
        ours = self.encoder.backbone.encode(list(rows), progress=progress)
        backbone, chosen = self.encoder.backbone.fingerprint(), foreign[list(rows.values())]
        found = Alignment.of(chosen, ours, encoder=encoder, backbone=backbone, fingerprint=fingerprint)
        if not found.fit.beats_baseline:
            message = (
                f"mapped embeddings, of cosine {found.fit.cosine:.3f} with the true ones, are not surely nearer than "
                f"the mean of all, {found.fit.baseline:.3f}: the texts are too alike, or the embeddings not theirs"
            )
            warnings.warn(message, GenerationWarning, stacklevel=2)
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
        """The arguments of ``generate``, checked."""
        count, effort = arguments.check_count(n, "n", "text"), arguments.check_effort(effort)
        entries = self._banned(banned)
        reader = Reader(self.encoder, self.decoder, prefix)
        if entries:
            reader = reader.without(self._banning(entries))
        reader.starts  # noqa: B018 says what is wrong with the prefix even where there is no vector
        unit = torch.from_numpy(self.directions(embeddings, alignment)).to(self.decoder.codebook.device)
        return Request(unit, count, effort, normalize(prefix), tuple(entries))

    def directions(self, embeddings: npt.ArrayLike, alignment: Alignment | str | Path | None = None) -> Vectors:
        """The backbone's sentence embeddings that ``generate`` writes texts for, by themselves; arguments as of it.

        Shape: (B, S), unit length.

        Raises:
            ValueError, RowError: see ``generate``.
        """
        if alignment is not None:
            alignment = _alignment(alignment)
            foreign = arguments.check_foreign(embeddings, alignment.width)
            embeddings = alignment.apply(foreign, self.encoder.backbone.fingerprint())
        checked = arguments.check_vectors(embeddings, self.embed_dim, self.semantic_width)
        semantic = checked[:, : self.semantic_width]
        empty = ~semantic.any(axis=1)
        if empty.any():
            raise RowError("vector", int(empty.argmax()), "has no semantic prefix; there is nothing to write about")
        unit: Vectors = F.normalize(torch.from_numpy(semantic), dim=1).numpy()
        return unit

    @cached_property
    def generator(self) -> Generator:
        """What ``generate`` uses: the best generator that the model has the parts for."""
        parts = self.generator_parts
        if self._writing.generator == AUTO and (missing := language_model_search.missing_part(parts)):
            message = f"there is no {missing}, {_FALLBACK[missing]}"
            warnings.warn(message, GenerationWarning, stacklevel=4)  # past cached_property, which is a frame, too
        return make_generator(self._writing.generator, parts)

    @cached_property
    def generator_parts(self) -> GeneratorParts:
        """What generators are made of; what is chosen by itself reads the language model only where it is of use."""
        folder, search = self.generator_folder, self.decoder.search
        is_wanted = folder is not None or self._writing.generator != AUTO
        language_model = search.source.load() if search is not None and is_wanted else None
        return GeneratorParts(
            self.encoder, self.decoder.parts.prior, language_model, None, folder, self._writing.search
        )

    @property
    def generator_folder(self) -> Path | None:
        """Folder of generators' trained parts, if there is one."""
        return self._generation if self._generation is not None and self._generation.is_dir() else None

    def _read(
        self, vectors: Vectors, prefix: str, banned: Sequence[str], budget: Budget, *, trace: bool = False
    ) -> list[Reading]:
        reader = Reader(self.encoder, self.decoder, prefix, budget)
        if entries := self._banned(banned):
            reader = reader.without(self._banning(entries))
        reader.starts  # noqa: B018 says what is wrong with the prefix even where there is no vector
        readings: list[Reading] = []
        for start in range(0, len(vectors), _TEXTS_AT_ONCE):
            readings += reader.read(vectors[start : start + _TEXTS_AT_ONCE], trace=trace)
        return readings

    def _banning(self, entries: Sequence[str]) -> Banned:
        return Banned(entries, self.encoder.segmenter.lexicon, self.encoder.segmenter.detokenizer)

    def _banned(self, banned: Sequence[str]) -> list[str]:
        """Words and phrases, checked; one that no text has room for would have no effect."""
        entries = arguments.check_banned(banned)
        for row, entry in enumerate(entries):
            try:
                self.encoder.units_of(entry)
            except TooLongError as error:
                raise RowError("banned word", row, f"{error}, so it is in no text anyway") from error
        return entries

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
        total = F.normalize(self.encoder.codes[units].float(), dim=-1).sum(dim=0, keepdim=True)
        scores, found = self.index.nearest(total, k)
        lexicon = self.encoder.segmenter.lexicon
        return [
            Neighbor(lexicon.surfaces[unit], lexicon.kinds[unit], min(float(score), 1.0))
            for unit, score in zip(found[0].tolist(), scores[0].tolist(), strict=True)
        ]

    def _text_of(self, query: npt.ArrayLike) -> str:
        return self.decode(arguments.check_query(query, self.embed_dim)[None])[0]


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


def _named(kind: str, rows: Sequence[int]) -> str:
    """Some rows, at most ten of them by their numbers."""
    numbers = ", ".join(map(str, rows[:_SHOWN]))
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return f"{kind} {numbers}{more}" if len(rows) == 1 else f"{kind}s {numbers}{more}"


@contextlib.contextmanager
def _hub_explained(name: str) -> Iterator[None]:
    """Turn the hub client's many errors into one line."""
    try:
        yield
    except (OSError, ValueError, HfHubHTTPError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LexivertError(f"{name!r} is no folder here, nor a model that the hub gives ({reason})") from error
