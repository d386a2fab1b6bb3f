"""Words and phrases that a text may not contain, looked for in the text itself, however its units spell them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from lexivert.text.detokenizer import CONTINUES, Detokenizer, Stretch
from lexivert.text.lexicon import RESERVED, Lexicon
from lexivert.text.shapes import is_cjk

_SAME = str.maketrans({"’": "'", "‘": "'", "‐": "-", "‑": "-"})
_SHORTEST_PART = 3
"""Letters from which on a unit that merely contains a banned word is no replacement for it."""


@dataclass(frozen=True)
class Entry:
    """A banned word or phrase.

    Attributes:
        text: as it was given, normalised.
        letters: what is compared, see ``letters_of``.
        gaps: places in ``letters`` before which white space stood.
    """

    text: str
    letters: str
    gaps: frozenset[int]

    @classmethod
    def of(cls, text: str) -> Entry:
        """Read a word or phrase, as ``normalize`` leaves it."""
        ends, letters = [], ""
        for word in text.split():
            letters += letters_of(word)
            ends.append(len(letters))
        return cls(text, letters, frozenset(ends[:-1]) - {0, len(letters)})


@dataclass(frozen=True)
class Occurrence:
    """A banned word or phrase in a text.

    Attributes:
        entry: what occurs.
        positions: of the units that write it, among the text's units.
    """

    entry: Entry
    positions: tuple[int, ...]


def letters_of(text: str) -> str:
    """What is compared of a text: no case, no white space, nothing that is not seen, one apostrophe, one hyphen."""
    if text.isascii() and text.isprintable():
        return text.casefold().replace(" ", "")
    return "".join(map(_letters, text))


def _letters(character: str) -> str:
    hidden = character.isspace() or unicodedata.category(character) in {"Cf", "Cc"}
    return "" if hidden else character.translate(_SAME).casefold()


class Banned:
    """Words and phrases that no text may contain.

    A word occurs where its letters do, in any casing, with no letter or digit on either side: in ``Owl``, ``owl's``
    and ``barn-owl``, not in ``growl``. It also occurs where units that are words are run together, as in
    ``silent`` ``##owl``. The words of a phrase follow each other with nothing but white space between them.

    Args:
        texts: words and phrases as ``normalize`` leaves them, none without letters.
        lexicon: the units.
        detokenizer: writes them.
    """

    def __init__(self, texts: Sequence[str], lexicon: Lexicon, detokenizer: Detokenizer) -> None:
        self.entries = [Entry.of(text) for text in dict.fromkeys(texts)]
        self.lexicon = lexicon
        self._detokenizer = detokenizer

    def __bool__(self) -> bool:
        return bool(self.entries)

    @cached_property
    def units(self) -> list[int]:
        """Units that are, or contain, a banned word or phrase all by themselves."""
        return [unit for unit in self.resembling if self.find([unit])]

    @cached_property
    def resembling(self) -> list[int]:
        """The same, and units that have a banned word's letters as part of a longer word."""
        found = []
        for unit in range(len(RESERVED), len(self.lexicon)):
            letters = letters_of(self.lexicon.surfaces[unit].removeprefix(CONTINUES))
            inside = [entry for entry in self.entries if entry.letters in letters]
            if inside and (any(len(entry.letters) >= _SHORTEST_PART for entry in inside) or self.find([unit])):
                found.append(unit)
        return found

    def stretches(self, units: Sequence[int]) -> list[Stretch]:
        """See ``Detokenizer.stretches``."""
        return self._detokenizer.stretches(units)

    def find(self, units: Sequence[int]) -> list[Occurrence]:
        """All that a text contains of what is banned, in no order."""
        return self.find_in(self.stretches(units))

    def find_in(self, stretches: Sequence[Stretch]) -> list[Occurrence]:
        """The same of a text by its stretches."""
        return list(self._find(_Written(stretches, self.lexicon)))

    def _find(self, written: _Written) -> Iterator[Occurrence]:
        for entry in self.entries:
            first = written.letters.find(entry.letters)
            while first >= 0:
                if written.has(entry, first):
                    yield Occurrence(entry, written.positions(first, first + len(entry.letters)))
                first = written.letters.find(entry.letters, first + 1)


class _Written:
    """A text as it is written, with its letters and the edges of the stretches that units write."""

    def __init__(self, stretches: Sequence[Stretch], lexicon: Lexicon) -> None:
        self._stretches, self._lexicon = stretches, lexicon
        self._starts: list[int] = []
        self.text = ""
        for stretch in stretches:
            self.text += " " * stretch.spaced
            self._starts.append(len(self.text))
            self.text += stretch.text
        parts = [(letter, place) for place, sign in enumerate(self.text) for letter in _letters(sign)]
        self.letters = "".join(letter for letter, _ in parts)
        self._places = [place for _, place in parts]
        self._edges = {
            *self._starts,
            *(start + len(own.text) for start, own in zip(self._starts, stretches, strict=True)),
        }

    def has(self, entry: Entry, first: int) -> bool:
        """Whether an entry, whose letters begin at ``first``, occurs there."""
        places = self._places[first : first + len(entry.letters)]
        for number in range(1, len(places)):
            spaced = any(map(str.isspace, self.text[places[number - 1] + 1 : places[number]]))
            if number in entry.gaps:
                if not (spaced or self._is_edge(places[number])):
                    return False
            elif spaced:
                return False
        start, stop = places[0], places[-1] + 1
        if self._is_boundary(start) and self._is_boundary(stop):
            return True
        return self._is_edge(start) and self._is_edge(stop) and self._in_glued_words(start, stop)

    def positions(self, first: int, stop: int) -> tuple[int, ...]:
        """Positions of the units that write some of the letters."""
        begin, end = self._places[first], self._places[stop - 1]
        return tuple(
            position
            for start, stretch in zip(self._starts, self._stretches, strict=True)
            if start <= end and start + len(stretch.text) > begin
            for position in stretch.positions
        )

    def _is_boundary(self, place: int) -> bool:
        """Whether a word may begin or end there, by the signs on both sides."""
        if place in (0, len(self.text)):
            return True
        return not (_is_letter(self.text[place - 1]) and _is_letter(self.text[place]))

    def _is_edge(self, place: int) -> bool:
        return place in self._edges or self._is_boundary(place)

    def _in_glued_words(self, start: int, stop: int) -> bool:
        """Whether all that is run together with this stretch of text are words, too."""
        before = [number for number, own in enumerate(self._starts) if own < start]
        after = [number for number, own in enumerate(self._starts) if own >= stop]
        left = self._run(list(reversed(before)), start, -1)
        return all(map(self._is_word, [*left, *self._run(after, stop, 1)]))

    def _run(self, numbers: list[int], place: int, step: int) -> Iterator[str]:
        """Texts of the stretches from ``place`` on, as far as nothing parts them."""
        for number in numbers:
            if self._is_boundary(place):
                return
            text = self._stretches[number].text
            yield text
            place += step * len(text)

    def _is_word(self, text: str) -> bool:
        known = (self._lexicon.id_of.get(form) for form in (text, text.lower()))
        kinds = {self._lexicon.kinds[unit] for unit in known if unit is not None}
        return len(text) > 1 and bool(kinds - {"piece", "byte", "control"})


def _is_letter(sign: str) -> bool:
    """Whether a sign is part of a longer word: a letter, digit or mark, but of no script that has no white space."""
    return (sign.isalnum() or unicodedata.category(sign)[0] == "M") and not is_cjk(sign)
