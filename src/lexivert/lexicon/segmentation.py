"""Text to units and back without loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import regex  # type: ignore[import-untyped]

from lexivert.lexicon.fallback import Part, Speller, byte_part, can_be_in_phrase, merge_bytes
from lexivert.lexicon.phrases import PhraseTrie
from lexivert.lexicon.rendering import Renderer
from lexivert.lexicon.spacing import NOT, PlainSpacing, WikitextSpacing
from lexivert.lexicon.tokenizing import normalize, split_chunk, tokenize_wikitext, wikitext_form
from lexivert.lexicon.units import JOIN, SPACE, WIKITEXT, Lexicon

_CACHED_CHUNKS = 1 << 18
_GLUED, _SPACED, _RAW = 0, 1, 2
"""How a part follows the one before: without white space, with it, or (WikiText) without it though unusual."""
_INNER_MARK = regex.compile(r"([-,.'])")
_MAY_BE_WIKITEXT = regex.compile(r"@| [,.;:?!)'\"](?: |$)| 's ")
_Sequence = tuple[list[Part], list[int]]


class Segmenter:
    """Writes texts in the units of a lexicon.

    ``join(segment(text)) == normalize(text)`` for every text. Of ordinary and WikiText spelling the one with fewer
    units is taken; within it, phrases are chosen for the fewest units.
    """

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._renderer = Renderer(lexicon)
        self._trie = PhraseTrie(lexicon)
        self._plain = Speller(lexicon, PlainSpacing)
        self._wikitext = Speller(lexicon, WikitextSpacing)
        self._chunks: dict[str, tuple[Part, ...]] = {}
        self._tokens: dict[str, tuple[Part, ...]] = {}

    def segment(self, text: str) -> list[int]:
        """Return the unit ids of a text; END is not among them.

        Raises:
            ValueError: see ``normalize``.
        """
        text = normalize(text)
        if not text:
            return []
        ids = self._segment_plain(text)
        if _MAY_BE_WIKITEXT.search(text):
            other = self._segment_wikitext(text)
            if other is not None and len(other) < len(ids):
                return other
        return ids

    def segment_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Segment each text."""
        return [self.segment(text) for text in texts]

    def join(self, ids: Iterable[int]) -> str:
        """Return the text of any sequence of unit ids; see ``Renderer``.

        Raises:
            ValueError: a number is no unit id.
        """
        return self._renderer.join(ids)

    def surface(self, ids: Iterable[int]) -> list[str]:
        """Return the surfaces of units, for people to read."""
        return [self.lexicon.surfaces[unit] for unit in ids]

    def _segment_plain(self, text: str) -> list[int]:
        parts: list[Part] = []
        relations: list[int] = []
        for chunk in text.split(" "):
            found = self._chunks.get(chunk)
            if found is None:
                found = self._spell_chunk(chunk)
            parts.extend(found)
            relations.append(_SPACED)
            if len(found) > 1:
                relations.extend([_GLUED] * (len(found) - 1))
        ids = self._cover(parts, _links(parts, relations, PlainSpacing()))
        if self.join(ids) == text:
            return ids
        return list(byte_part(text).units)

    def _segment_wikitext(self, text: str) -> list[int] | None:
        """Segment as WikiText, or return None if the text doesn't keep to the convention."""
        parts, relations = self._spell_wikitext(text.split(" "))
        ids = [WIKITEXT, *self._cover(parts, _links(parts, relations, WikitextSpacing()))]
        return ids if self.join(ids) == text else None

    def _spell_chunk(self, chunk: str) -> tuple[Part, ...]:
        """Spell what stands between two spaces."""
        parts: list[Part] = []
        for token in split_chunk(chunk):
            spelled = self._plain.spell(token)
            if parts and parts[-1].is_bytes and spelled[0].is_bytes:
                spelled = (merge_bytes(parts.pop(), spelled[0]), *spelled[1:])
            parts.extend(spelled)
        return _remember(self._chunks, chunk, tuple(parts))

    def _spell_wikitext(self, chunks: Sequence[str]) -> _Sequence:
        parts: list[Part] = []
        relations: list[int] = []
        begun = 0
        for place, chunk in enumerate(chunks):
            if len(chunk) > 1 and wikitext_form(chunk) != chunk:
                self._add_regular(chunks[begun:place], parts, relations)
                self._add_raw(chunk, parts, relations)
                begun = place + 1
        self._add_regular(chunks[begun:], parts, relations)
        return parts, relations

    def _add_regular(self, chunks: Sequence[str], parts: list[Part], relations: list[int]) -> None:
        for token in tokenize_wikitext(" ".join(chunks)):
            spelled = self._spell_token(token)
            glued = bool(parts) and spelled[0].shape.right == NOT
            parts.extend(spelled)
            relations.append(_GLUED if glued else _SPACED)
            relations.extend([_GLUED] * (len(spelled) - 1))

    def _add_raw(self, chunk: str, parts: list[Part], relations: list[int]) -> None:
        """Add a chunk whose inner marks are not spaced out."""
        relation = _SPACED
        for token in filter(None, _INNER_MARK.split(chunk)):
            spelled = self._spell_token(token)
            parts.extend(spelled)
            relations.append(_RAW if relation != _SPACED and _INNER_MARK.match(token) else relation)
            relations.extend([_GLUED] * (len(spelled) - 1))
            relation = _GLUED

    def _spell_token(self, token: str) -> tuple[Part, ...]:
        found = self._tokens.get(token)
        return _remember(self._tokens, token, self._wikitext.spell(token)) if found is None else found

    def _cover(self, parts: list[Part], links: list[int]) -> list[int]:
        tokens = [part.text if can_be_in_phrase(part) else "" for part in parts]
        return self._trie.cover(tokens, [part.units for part in parts], links)


def _remember(cache: dict[str, tuple[Part, ...]], key: str, parts: tuple[Part, ...]) -> tuple[Part, ...]:
    if len(cache) >= _CACHED_CHUNKS:
        cache.clear()
    cache[key] = parts
    return parts


def _links(parts: list[Part], relations: list[int], spacing: PlainSpacing | WikitextSpacing) -> list[int]:
    """Control unit before each part, where the default would be wrong."""
    links = [0] * len(parts)
    last = len(parts) - 1
    for place, part in enumerate(parts):
        following = parts[place + 1].shape.initial if place < last else None
        relation = relations[place]
        spaced = relation == _SPACED and place > 0
        if place:
            if part.is_bytes and parts[place - 1].is_bytes:
                wrong = True
            else:
                wrong = relation == _RAW or spacing.wants_space(part.shape, following) != spaced
            if wrong:
                links[place] = SPACE if spaced else JOIN
        spacing.advance(part.shape, spaced, following)
    return links
