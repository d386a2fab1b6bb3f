"""Other languages: the words, characters and subwords that frequency lists add to the lexicon.

The lists are mixed to one distribution over words, the first language with half of it, the others with equal shares
of the rest. The most probable words become units. The rest is spelled in subwords, learned in two steps: byte-pair
merges (Sennrich, Haddow & Birch 2016) over the UTF-8 bytes of the characters, weighed by how often they occur, which
give frequent characters a unit each and rare ones a shared beginning; then merges over the characters of words.
"""

from __future__ import annotations

import heapq
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise

import numpy as np
import numpy.typing as npt
import regex  # type: ignore[import-untyped]
from tqdm import tqdm

from lexivert.text.detokenizer import CONTINUES
from lexivert.text.kinds import is_reserved
from lexivert.text.lexicon import Lexicon, byte_surface
from lexivert.text.segmentation import Segmenter
from lexivert.text.shapes import WORD, shape
from lexivert.text.tokenizer import split_chunk
from lexivert.text.wordpieces import merged_pieces

FIRST_SHARE = 0.5
"""Share of the first language in the mixture."""
LISTED_SHARE = 0.04
"""Share of words from lists in what usage is counted on. The prior of corpus text loses as many nats a unit at most,
and a word of a language that the corpus lacks is some e^4 times likelier than by smoothing alone."""
USED_WORDS = 30_000
"""Words of the mixture, the most probable ones, that usage is expected of."""
FREQUENT = 12_000
"""Words of each list that subwords are learned on; each weighs the same, as it does on the corpus."""
RAREST = 1.0e-6
"""Byte pairs rarer than one in a million characters beyond ASCII are not merged."""
MARKS = "¿¡«»‹›„‚“”‘’–—…·§°№•、。，．！？：；（）「」『』《》〈〉【】・ー～、；؟،؛।॥־׳״"
"""Punctuation of the listed languages; the lists themselves have none."""
_LETTERS = "".join(
    chr(code)
    for first, last in ((0xDF, 0x17F), (0x218, 0x21B), (0x3AC, 0x3CE), (0x430, 0x45F), (0x490, 0x491))
    for code in range(first, last + 1)
    if chr(code).islower()
)
"""Letters of Europe's scripts, so that languages without a list are spelled in them, too."""
_WORD = regex.compile(r"[\p{L}\p{M}'’\-\u00ad\u200c\u200d]+|[^\p{L}\p{M}\p{N}\p{Z}\p{C}\x00-\x7F]")
"""Words, and signs such as emoji; the lists write every digit as 0, so numbers say nothing."""


@dataclass(frozen=True)
class Mixture:
    """Frequency lists of several languages as one.

    Attributes:
        words: probability of each word, summing to 1, most probable first.
        frequent: the ``FREQUENT`` first words of each list.
    """

    words: Mapping[str, float]
    frequent: frozenset[str]

    @classmethod
    def of(cls, lists: Mapping[str, Mapping[str, float]]) -> Mixture:
        """Mix lists, each highest frequency first, by language in order of importance."""
        words: defaultdict[str, float] = defaultdict(float)
        frequent: set[str] = set()
        for language, share in zip(lists, shares(len(lists)), strict=True):
            listed = {word: n for word, n in lists[language].items() if _WORD.fullmatch(word)}
            total = sum(listed.values())
            for word, frequency in listed.items():
                words[word] += share * frequency / total
            frequent.update(islice(listed, FREQUENT))
        ordered = sorted(words.items(), key=lambda item: (-item[1], item[0]))
        return cls(dict(ordered), frozenset(frequent))


def shares(languages: int) -> list[float]:
    """Share of each language in the mixture."""
    if languages < 2:
        return [1.0] * languages
    return [FIRST_SHARE] + [(1.0 - FIRST_SHARE) / (languages - 1)] * (languages - 1)


@dataclass(frozen=True)
class ListedUnits:
    """What lists add to a lexicon.

    Attributes:
        words: words, most probable first.
        pieces: characters, subwords, and marks.
        byte_strings: beginnings of characters that have no unit.
    """

    words: list[str]
    pieces: list[str]
    byte_strings: list[str]


def listed_units(mixture: Mixture, words: int, pieces: int, known: Collection[str]) -> ListedUnits:
    """Choose words and learn subwords.

    Args:
        mixture: of the lists.
        words: most words to add.
        pieces: most characters, subwords and byte strings to add; characters come first.
        known: surfaces that are units already.
    """
    have = set(known)
    chosen = list(islice((word for word in mixture.words if word not in have and _is_token(word)), words))
    have.update(chosen)
    strings = learn_byte_strings(character_counts(mixture.words))
    begun = [string for string in strings if not _is_character(string)]
    characters = [string.decode() for string in strings if _is_character(string)]
    singles = [form for character in (*MARKS, *_LETTERS, *characters) for form in forms(character)]
    alphabet = {form for form in singles if len(form) == 1}.union("abcdefghijklmnopqrstuvwxyz'-")
    rare = [word for word in sorted(mixture.frequent) if word not in have and _is_token(word)]
    subwords = merged_pieces(rare, sorted(alphabet), pieces)
    byte_strings = [byte_surface(string) for string in begun]
    spelled = [piece for piece in dict.fromkeys([*singles, *subwords]) if piece not in have]
    return ListedUnits(chosen, spelled[: max(0, pieces - len(byte_strings))], byte_strings[:pieces])


def _is_token(word: str) -> bool:
    return len(split_chunk(word)) == 1 and not is_reserved(word)


def _is_character(string: bytes) -> bool:
    try:
        return bool(string.decode())
    except UnicodeDecodeError:
        return False


def forms(character: str) -> list[str]:
    """Pieces that write a character at a word's beginning and inside it; one where that makes no difference."""
    if unicodedata.category(character)[0] == "M":
        return [CONTINUES + character]  # never begins a word
    return [character, CONTINUES + character] if shape(character).right == WORD else [character]


def character_counts(words: Mapping[str, float]) -> dict[str, float]:
    """Frequencies of the characters beyond ASCII, summing to 1 if there are any."""
    counts: defaultdict[str, float] = defaultdict(float)
    for word, probability in words.items():
        for character in word:
            if not character.isascii():
                counts[character] += probability
    total = sum(counts.values())
    return {character: count / total for character, count in counts.items()}


def learn_byte_strings(characters: Mapping[str, float]) -> list[bytes]:
    """Strings of two to four bytes by merging the most frequent neighbours within characters, first merge first.

    Args:
        characters: their frequencies; pairs rarer than ``RAREST`` are not merged.
    """
    spelled = {character: [bytes([byte]) for byte in character.encode()] for character in sorted(characters)}
    weights = {character: round(frequency / RAREST * 1000) for character, frequency in characters.items()}
    counts: Counter[tuple[bytes, bytes]] = Counter()  # whole numbers: sums don't depend on their order
    where: defaultdict[tuple[bytes, bytes], set[str]] = defaultdict(set)
    for character, parts in spelled.items():
        for pair in pairwise(parts):
            counts[pair] += weights[character]
            where[pair].add(character)
    waiting = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(waiting)
    learned: list[bytes] = []
    while waiting and -waiting[0][0] >= 1000:
        count, pair = heapq.heappop(waiting)
        if -count != counts[pair]:
            continue  # an older count
        learned.append(pair[0] + pair[1])
        changed: set[tuple[bytes, bytes]] = set()
        for character in sorted(where[pair]):
            before, after = spelled[character], merge(spelled[character], pair)
            spelled[character] = after
            for neighbours, sign in chain(((p, -1) for p in pairwise(before)), ((p, 1) for p in pairwise(after))):
                counts[neighbours] += sign * weights[character]
                (where[neighbours].add if sign > 0 else where[neighbours].discard)(character)
                changed.add(neighbours)
        for neighbours in changed:
            heapq.heappush(waiting, (-counts[neighbours], neighbours))
    return list(dict.fromkeys(learned))


def merge(parts: Sequence[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """Join every ``pair`` of neighbours, from left to right."""
    merged: list[bytes] = []
    for part in parts:
        if merged and (merged[-1], part) == pair:
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def expected_usage(lexicon: Lexicon, mixture: Mixture, corpus_usage: int) -> npt.NDArray[np.int64]:
    """Occurrences of each unit to be expected if ``LISTED_SHARE`` of a text were drawn from the mixture. Shape: (V,).

    Args:
        lexicon: the units.
        mixture: of the lists.
        corpus_usage: units of the corpus, which are the rest of that text.
    """
    usage = np.zeros(len(lexicon))
    segmenter = Segmenter(lexicon)
    for word, probability in _shown(islice(mixture.words.items(), USED_WORDS)):
        for unit in segmenter.segment(word):
            usage[unit] += probability
    wanted = corpus_usage * LISTED_SHARE / (1.0 - LISTED_SHARE)
    expected: npt.NDArray[np.int64] = np.rint(usage * wanted / max(usage.sum(), 1e-9)).astype(np.int64)
    return expected


def _shown(words: Iterable[tuple[str, float]]) -> Iterable[tuple[str, float]]:
    return tqdm(words, desc="segmenting word lists", unit="word", mininterval=1.0, total=USED_WORDS)
