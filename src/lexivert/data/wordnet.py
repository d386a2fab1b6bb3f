"""WordNet 3.0 (Fellbaum 1998) as the few facts that the lexical maps need: senses and base forms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexivert import artifacts
from lexivert.errors import DamagedArtifactError

_DATA_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
NOUN, VERB, ADJ, ADV = "nvar"
"""WordNet's letters for parts of speech."""
_MARKER = re.compile(r"\((?:a|p|ip)\)$")
FEWEST_LETTERS = 3
"""A base form found by cutting a suffix is at least so long: "as" is no plural of "a", "his" none of "hi"."""


@dataclass(frozen=True)
class Sense:
    """One synset.

    Attributes:
        names: its lemmas as WordNet spells them, with ``_`` between words.
        antonyms: lemmas that are opposites of any of its lemmas.
        hypernyms: synsets directly above it, instances included, as part of speech and offset.
    """

    names: tuple[str, ...]
    antonyms: tuple[str, ...]
    hypernyms: tuple[str, ...]


def lemma_key(surface: str) -> str:
    """WordNet's key of a surface: lowercase, with ``_`` for spaces and hyphens, so that spelling variants meet."""
    return surface.lower().replace(" ", "_").replace("-", "_")


def _open_reader(folder: str) -> Any:
    """NLTK's reader without its map to other versions, which needs a second WordNet in NLTK's download folder.

    Raises:
        OSError, ValueError, AssertionError: a file is missing or not WordNet's.
    """
    import nltk
    from nltk.corpus.reader.wordnet import WordNetCorpusReader, WordNetError

    class EnglishReader(WordNetCorpusReader):  # type: ignore[misc]
        def map_wn(self, version: str = "wordnet") -> None:
            """Map nothing: only the multilingual functions ask."""

    if folder not in nltk.data.path:
        nltk.data.path.append(folder)  # NLTK opens files below its data folders only
    try:
        return EnglishReader(folder, omw_reader=_NO_OTHER_LANGUAGE)
    except WordNetError as error:
        raise ValueError(str(error)) from error


_NO_OTHER_LANGUAGE = object()
"""Stands in for the multilingual files, which aren't used; given None, NLTK warns on standard error."""


class WordNet:
    """WordNet's dictionary files in a folder, read without NLTK's download folder.

    Args:
        folder: holds ``data.noun`` and its siblings.

    Raises:
        MissingArtifactError: the folder is not there.
        DamagedArtifactError: a file in it is missing or not WordNet's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = artifacts.require(folder)
        try:
            self._reader: Any = _open_reader(str(folder.resolve()))
        except (OSError, ValueError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise DamagedArtifactError(
                f"{folder} is not a whole WordNet ({reason}); delete it and run `dvc repro fetch`"
            ) from error

    def senses(self) -> Iterator[Sense]:
        """Every synset, part of speech by part of speech, in file order.

        The data files are read directly: building NLTK's synset objects takes ten times as long and a gigabyte.
        """
        lines = [line for part in _DATA_FILES for line in (self._folder / part).open(encoding="utf-8")]
        records = {record.name: record for record in map(_parse, (line for line in lines if line[0] != " "))}
        for record in records.values():
            yield Sense(
                names=record.words,
                antonyms=tuple(records[name].words[word] for name, word in record.antonyms),
                hypernyms=record.hypernyms,
            )

    def parts_of_speech(self, key: str) -> frozenset[str]:
        """Parts of speech (n, v, a, r) that a key is itself a lemma of; empty for keys WordNet lacks."""
        return frozenset(part for part in (NOUN, VERB, ADJ, ADV) if key in self._reader._morphy(key, part))

    def base_forms(self, key: str) -> frozenset[str]:
        """All lemmas that a key may be a form of, itself among them if it is one: "found" gives found and find.

        This is WordNet's morphy over all parts of speech: every listed exception, or else the first suffix rule that
        leads to a lemma ("mates" is of mate, not of mat). What the rules get wrong most is left out: bases of one or
        two letters but for "goes" and "being", and comparatives that are nouns or verbs ("number" of numb).
        """
        own = self.parts_of_speech(key)
        bases = {key} if own else set()
        for part in (NOUN, VERB, ADJ, ADV):
            analyses = self._others(key, part)
            by_rule = self._others(key, part, check_exceptions=False)
            if analyses != by_rule:
                bases.update(analyses)
            elif by_rule and _plausible(key, by_rule[0], part, own):
                bases.add(by_rule[0])
        return frozenset(bases)

    def _others(self, key: str, part: str, *, check_exceptions: bool = True) -> list[str]:
        """Morphy's analyses but for the key itself; NLTK's public method returns no more than one of them."""
        return [base for base in self._reader._morphy(key, part, check_exceptions) if base != key]


def _plausible(key: str, base: str, part: str, own: frozenset[str]) -> bool:
    if part == ADJ and own & {NOUN, VERB} and ADJ not in own:
        return False
    return len(base) >= FEWEST_LETTERS or (part == VERB and (base[-1] == "o" or key == f"{base}ing"))


@dataclass(frozen=True)
class _Record:
    name: str
    words: tuple[str, ...]
    antonyms: tuple[tuple[str, int], ...]
    hypernyms: tuple[str, ...]


def _parse(line: str) -> _Record:
    """One line of a data file: offset, file, type, words (count in hexadecimal), pointers, gloss (see wndb(5WN))."""
    fields = line.partition(" | ")[0].split()
    end = 4 + 2 * int(fields[3], 16)
    words = tuple(_MARKER.sub("", word) for word in fields[4:end:2])
    pointers = fields[end + 1 : end + 1 + 4 * int(fields[end])]
    named = zip(pointers[::4], pointers[1::4], pointers[2::4], pointers[3::4], strict=True)
    above: list[str] = []
    antonyms: list[tuple[str, int]] = []
    for symbol, offset, part, words_between in named:
        if symbol in {"@", "@i"}:
            above.append(part + offset)
        elif symbol == "!":
            antonyms.append((part.replace("s", "a") + offset, int(words_between[2:], 16) - 1))
    return _Record(fields[2].replace("s", "a") + fields[0], words, tuple(antonyms), tuple(above))
