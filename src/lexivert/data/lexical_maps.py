"""Lexical maps: synonyms, inflections, co-hyponyms and antonyms among the units, by WordNet."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from lexivert.data.relations import RELATIONS, Pairs, decode_pairs, encode_pairs
from lexivert.data.wordnet import Synset, WordNet, lemma_key

LEXICAL_KINDS = frozenset({"word", "cased", "entity", "ngram"})
"""Kinds of units that have a meaning of their own."""


@dataclass(frozen=True)
class Forms:
    """The vocabulary by WordNet key.

    A lowercase unit doesn't mean what WordNet spells with a capital ("polish" is not "Polish", "us" not "US"); a
    capitalised unit may mean either, for sentences begin with capitals.

    Attributes:
        units: key to the units so written, in any case.
        lower: those of them without a capital.
    """

    units: Mapping[str, tuple[int, ...]]
    lower: frozenset[int] = field(repr=False)

    @classmethod
    def of(cls, surfaces: Sequence[str], kinds: Sequence[str]) -> Forms:
        """Index the lexical units among V surfaces."""
        by_key: dict[str, list[int]] = defaultdict(list)
        for unit, (surface, kind) in enumerate(zip(surfaces, kinds, strict=True)):
            if kind in LEXICAL_KINDS:
                by_key[lemma_key(surface)].append(unit)
        lower = frozenset(
            unit for units in by_key.values() for unit in units if surfaces[unit] == surfaces[unit].lower()
        )
        return cls({key: tuple(units) for key, units in by_key.items()}, lower)

    def named(self, names: Iterable[str]) -> list[int]:
        """Units that may mean one of WordNet's lemma names, in order, each once."""
        found: dict[int, None] = {}
        for name in names:
            capital = name != name.lower()
            for unit in self.units.get(lemma_key(name), ()):
                if not (capital and unit in self.lower):
                    found[unit] = None
        return list(found)


@dataclass
class _Gathered:
    synonyms: list[list[int]] = field(default_factory=list)
    opposites: list[tuple[list[int], list[int]]] = field(default_factory=list)
    children: dict[str, list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    proper: set[str] = field(default_factory=set)


def _gather(synsets: Iterable[Synset], forms: Forms) -> _Gathered:
    gathered = _Gathered()
    for synset in synsets:
        gathered.proper.update(lemma_key(name) for name in synset.lemmas if name != name.lower())
        members = forms.named(synset.lemmas)
        if not members:
            continue
        gathered.synonyms.append(members)
        for hypernym in synset.hypernyms:
            gathered.children[hypernym].append(members)
        if opposites := forms.named(synset.antonyms):
            gathered.opposites.append((members, opposites))
    return gathered


@dataclass(frozen=True)
class LexicalMaps:
    """Relations between units, each ordered pair stated once and in both directions.

    Attributes:
        pairs: relation name to its pairs.
        units: V, the number of units.
    """

    pairs: Mapping[str, Pairs]
    units: int

    def table(self, relations: Sequence[str]) -> dict[str, Any]:
        """Columns of ``SCHEMA`` for some relations, sorted by unit and other."""
        codes = np.concatenate([self.pairs[name] for name in relations])
        names = np.repeat(np.array(relations, dtype=object), [len(self.pairs[name]) for name in relations])
        order = np.argsort(codes, kind="stable")
        unit, other = decode_pairs(codes[order], self.units)
        return {
            "unit_id": unit.astype(np.int32),
            "other_id": other.astype(np.int32),
            "relation": pa.array(names[order].tolist(), pa.string()),
        }

    def metrics(self) -> dict[str, dict[str, int]]:
        """Rows and units covered, by relation."""
        return {
            name: {"rows": len(codes), "units": len(np.unique(decode_pairs(codes, self.units)[0]))}
            for name, codes in self.pairs.items()
        }


def lexical_maps(
    surfaces: Sequence[str], kinds: Sequence[str], wordnet: WordNet, *, max_synonyms: int, max_siblings: int
) -> LexicalMaps:
    """Relate the lexical units of a vocabulary.

    - antonym: a lemma of one's synset is WordNet's antonym of a lemma of the other's;
    - synonym: both are lemmas of one synset;
    - inflection: both are forms of one lemma ("ran", "running"; "Dog", "dog"; "ice cream", "ice-cream"). Words that
      WordNet lacks, such as "the", have no lemma, so "The" and "the" are not related;
    - sibling: synsets of theirs share a direct hypernym with at most ``max_siblings`` + 1 lemmas in the vocabulary.

    Args:
        surfaces: V unit surfaces, row = unit id.
        kinds: V unit kinds.
        wordnet: the dictionary.
        max_synonyms: a unit with more synonyms loses all of them, in both directions.
        max_siblings: the same for siblings.
    """
    forms = Forms.of(surfaces, kinds)
    gathered = _gather(wordnet.synsets(), forms)
    size = len(surfaces)
    key_of = {unit: key for key, units in forms.units.items() for unit in units}
    inflected = _inflections(forms, kinds, wordnet, gathered.proper)
    candidates = {
        "antonym": _code((pair for a, b in gathered.opposites for pair in itertools.product(a, b)), size),
        "synonym": _code(_within(gathered.synonyms), size),
        "inflection": _code(_within(inflected), size),
        "sibling": _code(_across(gathered.children.values(), key_of, max_siblings), size),
    }
    same_key = _code(_within(forms.units.values()), size)
    candidates["synonym"] = np.setdiff1d(candidates["synonym"], same_key)
    most = {"synonym": max_synonyms, "sibling": max_siblings}
    stated: Pairs = np.empty(0, dtype=np.int64)
    pairs: dict[str, Pairs] = {}
    for name in RELATIONS:
        new = np.setdiff1d(candidates[name], stated)
        pairs[name] = _without_large(new, size, most[name]) if name in most else new
        stated = np.union1d(stated, new)
    return LexicalMaps(pairs, size)


def _within(groups: Iterable[Sequence[int]]) -> Iterator[tuple[int, int]]:
    for group in groups:
        yield from itertools.combinations(group, 2)


def _across(families: Iterable[list[list[int]]], key_of: Mapping[int, str], most: int) -> Iterator[tuple[int, int]]:
    """Pairs of units in different synsets below one hypernym, unless the hypernym is too general."""
    for family in families:
        members = list(dict.fromkeys(itertools.chain.from_iterable(family)))
        if len({key_of[unit] for unit in members}) <= most + 1:
            yield from itertools.combinations(members, 2)


def _inflections(forms: Forms, kinds: Sequence[str], wordnet: WordNet, proper: set[str]) -> list[list[int]]:
    """Units by common lemma; a name is inflected only as a name ("Americans" is of American, "Burns" not of burn)."""
    by_lemma: dict[str, list[int]] = defaultdict(list)
    for key, units in forms.units.items():
        for base in wordnet.base_forms(key):
            for unit in units:
                if kinds[unit] != "entity" or base in proper:
                    by_lemma[base].append(unit)
    return [units for units in by_lemma.values() if len(units) > 1]


def _code(pairs: Iterable[tuple[int, int]], size: int) -> Pairs:
    """Both directions of each pair of different units."""
    flat = np.fromiter((unit for pair in pairs for unit in pair), dtype=np.int64).reshape(-1, 2)
    flat = flat[flat[:, 0] != flat[:, 1]]
    units, others = flat.T
    return np.unique(np.concatenate([encode_pairs(units, others, size), encode_pairs(others, units, size)]))


def _without_large(codes: Pairs, size: int, most: int) -> Pairs:
    """Drop all pairs of units that have more than ``most`` partners."""
    unit, other = decode_pairs(codes, size)
    large = np.bincount(unit, minlength=size) > most
    return codes[~(large[unit] | large[other])]
