"""WordNet 3.0 (Fellbaum 1998): its synsets with their glosses, and its morphology (base forms)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from lexivert.artifacts import require
from lexivert.errors import DamagedArtifactError

PARTS_OF_SPEECH = ("noun", "verb", "adj", "adv")
NOUN, VERB, ADJ, ADV = "nvar"
"""WordNet's letters for parts of speech."""
FEWEST_LETTERS = 3
"""A base form found by cutting a suffix is at least so long: "as" is no plural of "a", "his" none of "hi"."""
_MARKER = re.compile(r"\((?:a|p|ip)\)$")  # where an adjective may stand
_UNDERSCORE = re.compile(r"(?<=\w)_(?=\w)")
_QUOTE = re.compile(r';?\s*"')


@dataclass(frozen=True)
class Synset:
    """Words of one meaning, as the dictionary has them.

    Attributes:
        name: part of speech and offset, such as ``n00001740``; its document in the embedded corpus is named so.
        category: its lexicographer file, such as ``noun.animal``.
        lemmas: its words and phrases.
        definition: what it means; empty if the dictionary doesn't say.
        examples: sentences that use it.
        hypernyms: names of the synsets directly above it, instances included.
        antonyms: lemmas that are opposites of any of its lemmas.
    """

    name: str
    category: str
    lemmas: tuple[str, ...]
    definition: str
    examples: tuple[str, ...] = ()
    hypernyms: tuple[str, ...] = ()
    antonyms: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """Definition and examples; none without a definition."""
        return [self.definition, *self.examples] if self.definition else []


def read_synsets(folder: Path) -> Iterator[Synset]:
    """Yield every synset, part of speech by part of speech, in file order.

    The data files are read directly: building NLTK's synset objects takes ten times as long and a gigabyte.

    Raises:
        MissingArtifactError: a file is not there.
    """
    rows = require(folder / "lexnames").read_text(encoding="utf-8").splitlines()
    categories = {fields[0]: fields[1] for fields in map(str.split, rows) if fields}
    for part in PARTS_OF_SPEECH:
        with require(folder / f"data.{part}").open(encoding="utf-8") as file:
            lines = {line.name: line for line in map(_parse, (text for text in file if text[0] != " "))}
        for line in lines.values():
            said = split_gloss(line.gloss)
            yield Synset(
                name=line.name,
                category=categories[line.file],
                lemmas=line.lemmas,
                definition=said[0] if said else "",
                examples=tuple(said[1:]),
                hypernyms=line.hypernyms,
                antonyms=tuple(lines[name].lemmas[number] for name, number in line.antonyms),
            )


def split_gloss(gloss: str) -> list[str]:
    """Definition first, then the examples, which stand in double quotes.

    WordNet's quotes don't always pair, so every double quote separates; grave accents become apostrophes.
    """
    parts = (part.strip(" ;:\n") for part in _QUOTE.split(_UNDERSCORE.sub(" ", gloss.replace("`", "'"))))
    return [" ".join(part.split()) for part in parts if any(map(str.isalnum, part))]


class _Line(NamedTuple):
    """A line of a data file; antonyms are names of synsets of the same file, with the number of the lemma."""

    name: str
    file: str
    lemmas: tuple[str, ...]
    hypernyms: tuple[str, ...]
    antonyms: tuple[tuple[str, int], ...]
    gloss: str


def _parse(line: str) -> _Line:
    """Offset, lexicographer file, type, lemmas (their count in hexadecimal), pointers and gloss; see wndb(5WN)."""
    head, _, gloss = line.partition(" | ")
    fields = head.split()
    end = 4 + 2 * int(fields[3], 16)
    lemmas = tuple(_MARKER.sub("", word).replace("_", " ") for word in fields[4:end:2])
    pointers = fields[end + 1 : end + 1 + 4 * int(fields[end])]
    above: list[str] = []
    antonyms: list[tuple[str, int]] = []
    for symbol, offset, part, numbers in zip(*(pointers[field::4] for field in range(4)), strict=True):
        if symbol in {"@", "@i"}:
            above.append(part + offset)
        elif symbol == "!":
            antonyms.append((_part(part) + offset, int(numbers[2:], 16) - 1))
    return _Line(_part(fields[2]) + fields[0], fields[1], lemmas, tuple(above), tuple(antonyms), gloss)


def _part(kind: str) -> str:
    """Part of speech of a type: satellite adjectives are adjectives."""
    return "a" if kind == "s" else kind


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
        folder: contains ``data.noun`` and its siblings.

    Raises:
        MissingArtifactError: the folder is not there.
        DamagedArtifactError: a file in it is missing or not WordNet's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = require(folder)
        try:
            self._reader: Any = _open_reader(str(folder.resolve()))
        except (OSError, ValueError, AssertionError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise DamagedArtifactError(
                f"{folder} is not a complete WordNet ({reason}); delete it and run `dvc repro fetch`"
            ) from error

    def synsets(self) -> Iterator[Synset]:
        """See ``read_synsets``."""
        return read_synsets(self._folder)

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
