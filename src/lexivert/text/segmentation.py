"""Lossless segmentation: text to units and back, phrases chosen for the fewest units."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lexivert.text.detokenizer import Detokenizer
from lexivert.text.lexicon import JOIN, SPACE, WIKITEXT, Lexicon
from lexivert.text.phrases import PhraseTrie, Place
from lexivert.text.shapes import (
    AT_START,
    FIRST_QUOTE,
    NOT,
)
from lexivert.text.spacing import SPACED, PlainSpacing
from lexivert.text.subwords import ByteSpeller, Part, SubwordSpeller, can_be_in_phrase, merge_bytes
from lexivert.text.tokenizer import normalize, split_chunk
from lexivert.text.wikitext import (
    MOST_CHARACTERS,
    WikitextSpacing,
    breaks_convention,
    count_marks,
    split_raw,
    tokenize_wikitext,
)

_CACHED = 1 << 18
"""Chunks and tokens remembered."""
_GLUED, _SPACED, _RAW = 0, 1, 2
"""How a part follows the one before: without white space, with it, or (WikiText) without it though unusual."""


class _Chunk(NamedTuple):
    """Parts that follow each other.

    Attributes:
        parts: with the way each follows the one before in ``relations``.
        places: the parts as phrases see them.
        right: how the first part attaches.
        links: control unit before each part, the first excepted; right only if ``fixed``.
        left: what the chunk leaves behind; right only if ``fixed``.
        fixed: whether spacing inside doesn't depend on what is around (no quotes, no bytes).
    """

    parts: tuple[Part, ...]
    relations: tuple[int, ...]
    places: tuple[Place, ...]
    right: int
    links: tuple[int, ...]
    left: int
    fixed: bool


class Segmenter:
    """Writes texts in the units of a lexicon.

    ``join(segment(text)) == normalize(text)`` for every text. Of ordinary and WikiText spelling the one with fewer
    units is taken; within it, phrases are chosen for the fewest units.

    Attributes:
        lexicon: the units.
        most_characters: no unit writes more, the space before it included.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self.most_characters = MOST_CHARACTERS * max(map(len, lexicon.surfaces)) + 1
        self._detokenizer = Detokenizer(lexicon)
        self._trie = PhraseTrie(lexicon)
        self._byte_speller = ByteSpeller(lexicon)
        self._plain_speller = SubwordSpeller(lexicon, PlainSpacing, self._byte_speller)
        self._wikitext_speller = SubwordSpeller(lexicon, WikitextSpacing, self._byte_speller)
        self._plain_chunks: dict[str, _Chunk] = {}
        self._wikitext_chunks: dict[str, _Chunk] = {}

    @property
    def detokenizer(self) -> Detokenizer:
        """What writes units as text."""
        return self._detokenizer

    def segment(self, text: str) -> list[int]:
        """Return the unit ids of a text; EOS is not among them.

        Raises:
            ValueError: see ``normalize``.
        """
        return self.segment_normalized(normalize(text))

    def segment_normalized(self, text: str) -> list[int]:
        """Return the unit ids of a text as ``normalize`` leaves it."""
        if not text:
            return []
        marks = count_marks(text)
        other = self._segment_wikitext(text) if marks else None
        if other is not None and marks > 2:  # ordinary spelling needs a unit more for each mark
            return other
        ids = self._segment_plain(text)
        return ids if other is None or len(ids) <= len(other) else other

    def segment_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Segment each text."""
        return [self.segment(text) for text in texts]

    def join(self, ids: Iterable[int]) -> str:
        """Return the text of any sequence of unit ids; see ``Detokenizer``.

        Raises:
            ValueError: a number is no unit id.
        """
        return self._detokenizer.join(ids)

    def surface(self, ids: Iterable[int]) -> list[str]:
        """Return the surfaces of units, for people to read."""
        return [self.lexicon.surfaces[unit] for unit in ids]

    def _segment_plain(self, text: str) -> list[int]:
        known = self._plain_chunks
        chunks = [known.get(chunk) or self._new_chunk(chunk) for chunk in text.split(" ")]
        places: list[Place] = []
        for chunk in chunks:
            places.extend(chunk.places)
        ids = self._trie.cover(places, _plain_links(chunks))
        return ids if self._detokenizer.write(ids) == text else list(self._byte_speller.part(text).units)

    def _segment_wikitext(self, text: str) -> list[int] | None:
        """Segment as WikiText, or return None if the text doesn't keep to the convention."""
        chunks = self._wikitext_tokens(text.split(" "))
        parts = [part for chunk in chunks for part in chunk.parts]
        relations = [relation for chunk in chunks for relation in chunk.relations]
        places = [place for chunk in chunks for place in chunk.places]
        ids = [WIKITEXT, *self._trie.cover(places, _links(parts, relations, WikitextSpacing()))]
        return ids if self._detokenizer.write(ids) == text else None

    def _new_chunk(self, chunk: str) -> _Chunk:
        """Spell what stands between two spaces of ordinary text."""
        parts = merge_bytes(part for token in split_chunk(chunk) for part in self._plain_speller.spell(token))
        return _remember(self._plain_chunks, chunk, self._chunk(parts, _SPACED))

    def _chunk(self, parts: Sequence[Part], relation: int) -> _Chunk:
        relations = (relation, *[_GLUED] * (len(parts) - 1))
        tokens = [part.text if can_be_in_phrase(part) else "" for part in parts]
        places = tuple(
            self._trie.place(token, part.units, part.cost) for token, part in zip(tokens, parts, strict=True)
        )
        spacing = PlainSpacing()
        if len(parts) > 1:
            links = tuple(_links(parts, relations, spacing)[1:])
        else:
            links = ()
            spacing.advance(parts[0].shape, spaced=False, following=None)
        fixed = all(part.shape.right < FIRST_QUOTE and not part.is_bytes for part in parts)
        return _Chunk(tuple(parts), relations, places, parts[0].shape.right, links, spacing.left, fixed)

    def _wikitext_tokens(self, chunks: Sequence[str]) -> list[_Chunk]:
        found: list[_Chunk] = []
        begun = 0
        for place, chunk in enumerate(chunks):
            if breaks_convention(chunk):
                found.extend(map(self._wikitext_token, tokenize_wikitext(" ".join(chunks[begun:place]))))
                found.extend(self._raw_tokens(chunk))
                begun = place + 1
        found.extend(map(self._wikitext_token, tokenize_wikitext(" ".join(chunks[begun:]))))
        return found

    def _wikitext_token(self, token: str) -> _Chunk:
        known = self._wikitext_chunks.get(token)
        if known is not None:
            return known
        parts = self._wikitext_speller.spell(token)
        relation = _GLUED if parts[0].shape.right == NOT else _SPACED
        return _remember(self._wikitext_chunks, token, self._chunk(parts, relation))

    def _raw_tokens(self, chunk: str) -> list[_Chunk]:
        """Spell a chunk whose inner marks are not spaced out, against the convention."""
        found: list[_Chunk] = []
        for token, is_mark in split_raw(chunk):
            relation = _RAW if is_mark else _GLUED
            found.append(self._chunk(self._wikitext_speller.spell(token), relation if found else _SPACED))
        return found


def _remember(cache: dict[str, _Chunk], key: str, chunk: _Chunk) -> _Chunk:
    if len(cache) >= _CACHED:
        cache.clear()
    cache[key] = chunk
    return chunk


def _plain_links(chunks: Sequence[_Chunk]) -> list[int]:
    """Control unit before each part of ordinary text, where the default would be wrong."""
    links: list[int] = []
    spacing, left, after_bytes = PlainSpacing(), AT_START, False
    for place, chunk in enumerate(chunks):
        if chunk.fixed:
            links.append(0 if SPACED[left][chunk.right] else SPACE)
            links.extend(chunk.links)
            left, after_bytes = chunk.left, False
        else:
            following = chunks[place + 1].parts[0] if place + 1 < len(chunks) else None
            spacing.left = left
            links.extend(_links(chunk.parts, chunk.relations, spacing, following, after_bytes=after_bytes))
            left, after_bytes = spacing.left, chunk.parts[-1].is_bytes
    links[0] = 0
    return links


def _links(
    parts: Sequence[Part],
    relations: Sequence[int],
    spacing: PlainSpacing | WikitextSpacing,
    following: Part | None = None,
    *,
    after_bytes: bool = False,
) -> list[int]:
    """Control unit before each part, where the default would be wrong; ``spacing`` is left at the end."""
    links = []
    for part, relation, after in zip(parts, relations, (*parts[1:], following), strict=True):
        initial = after.shape.initial if after is not None else None
        spaced = relation == _SPACED
        at_start = spacing.left == AT_START
        wrong = relation == _RAW or spacing.wants_space(part.shape, initial) != spaced
        if part.is_bytes and after_bytes:
            wrong = True  # or two runs would be one
        links.append((SPACE if spaced else JOIN) if wrong and not at_start else 0)
        spacing.advance(part.shape, spaced and not at_start, initial)
        after_bytes = part.is_bytes
    return links
