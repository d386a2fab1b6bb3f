"""What no text that is written from its meaning may contain: banned words, and WikiText's own marks."""

from __future__ import annotations

from collections.abc import Sequence

from lexivert.codes.encoder import Encoder
from lexivert.generation.in_units import banning, start_of, without_occurrences
from lexivert.text.lexicon import WIKITEXT
from lexivert.text.wikitext import NOTATION


class TextFilter:
    """Cuts what is banned out of texts, but for a known beginning.

    Args:
        encoder: has the lexicon.
        prefix: how every text begins; where it is in WikiText's convention, texts may be.
        banned: words and phrases.
    """

    def __init__(self, encoder: Encoder, prefix: str, banned: Sequence[str]) -> None:
        self._segmenter = encoder.segmenter
        start = start_of(encoder, prefix)
        self._prefix, self._known = prefix, len(start)
        self._marks = () if start and start[0] == WIKITEXT else NOTATION
        self._banned = banning(encoder, banned)

    def allowed(self, text: str) -> str:
        """The text, or what is left of it without what is banned; nothing where its beginning would be lost."""
        for mark in self._marks:
            text = text.replace(mark, "")
        text = " ".join(text.split())
        if not self._banned:
            return text
        units = self._segmenter.segment(text)
        if not self._banned.find(units):
            return text
        known = min(self._known, len(units))  # the text may be cut into other units than its beginning alone
        while known and not self._prefix.startswith(self._segmenter.join(units[:known])):
            known -= 1
        left = self._segmenter.join(without_occurrences(self._banned, units, known))
        return left if left.startswith(self._prefix) else ""
