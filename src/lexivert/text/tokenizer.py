"""Tokenizer of plain text: lossless, after Penn Treebank's rules for clitics; WikiText's convention has its own room.

Plain text is cut at white space into chunks, and each chunk is split by itself (so that a chunk is split once a type,
not once an occurrence). Decisions:

- Inner hyphens, apostrophes, underscores, decimal points and thousands commas stay: ``well-known``, ``o'clock``,
  ``3.14``, ``1,234``; so do a point before a lower-case letter (``example.com``), URLs and e-mail addresses.
- Clitics are split off: ``don't`` is ``do`` + ``n't``, ``he'll`` is ``he`` + ``'ll``; can, shan and won keep their n
  before ``'t``, as in WikiText.
- A final point belongs to the token after initials (``U.S.``, ``e.g.``, ``H.``, but not ``I.``) and after the titles
  and Latin abbreviations in ``ABBREVIATIONS``; anywhere else it is a token (``No.`` is more often a sentence).
- Every other punctuation mark is a token; a run of one mark that isn't a quote or bracket is one (``--``, ``...``).
- Han, Hiragana and Katakana are cut into characters, everything that is no letter or digit into grapheme clusters.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from itertools import groupby

import regex  # type: ignore[import-untyped]

_TITLES = "Mr|Mrs|Ms|Messrs|Mme|Mlle|Dr|St|Sr|Jr|Prof|Rev|Hon|Gen|Col|Capt|Maj|Lt|Sgt|Cpl|Gov|Sen|Rep|Pres|Esq|Mt|Ft"
_FIRMS = "Inc|Co|Ltd|Corp|Bros"
_MONTHS = "Jan|Feb|Apr|Aug|Sept|Oct|Nov|Dec"
_LATIN = "vs|etc|viz|cf|al|ca|seq|ed|eds|pp|vol|vols|ch|Vol|Ch|Ph"
ABBREVIATIONS = frozenset("|".join((_TITLES, _FIRMS, _MONTHS, _LATIN)).split("|"))
"""Words whose final point is part of them."""
KEEPS_N_BEFORE_T = frozenset({"can", "shan", "won"})
"""Words that keep their final n before ``'t``."""

_APOSTROPHE = "['’]"
_ALNUM = r"[\p{L}\p{N}--[\p{Han}\p{Hiragana}\p{Katakana}]]"
_CORE = rf"{_ALNUM}[\p{{L}}\p{{N}}\p{{M}}\u00ad\u200c\u200d--[\p{{Han}}\p{{Hiragana}}\p{{Katakana}}]]*"
_INNER = r"(?:[-‐‑_'’]|(?<=\p{N})[.,](?=\p{N})|\.(?=\p{Ll}))"
_CHUNK = regex.compile(
    r"(?V1)"
    r"(?:https?|ftp)://[^\"“”<>]*[\p{L}\p{N}/]|www\.[^\"“”<>]*[\p{L}\p{N}/]"
    r"|[\p{L}\p{N}][\p{L}\p{N}._+\-]{0,63}+@[\p{L}\p{N}\-]{1,63}(?:\.[\p{L}\p{N}\-]{1,63}){1,8}"
    r"|@[-,.]@"
    r"|(?<![\p{L}\p{N}])(?:\p{L}\.){2,12}+(?![\p{L}\p{N}])"
    r"|(?<![\p{L}\p{N}\-.])(?!I\.)\p{Lu}\.(?![\p{L}\p{N}.])"
    rf"|(?<![\p{{L}}\p{{N}}\-.])(?:{'|'.join(sorted(ABBREVIATIONS))})\.(?![\p{{L}}\p{{N}}.])"
    rf"|{_CORE}(?:{_INNER}{_CORE})*"
    rf"|{_APOSTROPHE}(?:s|d|ll|m|re|ve|t)(?![\p{{L}}\p{{N}}'’])"
    r"|([^\p{L}\p{N}\p{M}'\"’‘“”()\[\]{}])\1+(?!\p{M})"
    r"|\X"
)
_MANY_MARKS = regex.compile(r"\p{M}{30,}")
_CLITIC = regex.compile(rf"(?ri)(?<=.)(?:n{_APOSTROPHE}t|{_APOSTROPHE}(?:s|d|ll|m|re|ve))$")
_T = regex.compile(rf"(?i)(?:can|shan|won)({_APOSTROPHE}t)")


def normalize(text: str) -> str:
    """Return ``text`` in Unicode NFC with white space collapsed to single spaces and none at the ends.

    Raises:
        ValueError: the text contains a lone surrogate, which is no character and has no UTF-8 form.
    """
    if not text.isascii():
        check_characters(text)
        text = unicodedata.normalize("NFC", _MANY_MARKS.sub(_in_order, text))
    return " ".join(text.split())


def check_characters(text: str) -> None:
    """Refuse lone surrogates, which the escapes of JSON can write but no file of UTF-8 can hold.

    Raises:
        ValueError: the text contains one.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        code = f"U+{ord(text[error.start]):04X}"
        raise ValueError(
            f"text holds the lone surrogate {code} at character {error.start}, which is not valid Unicode; "
            "decode the source with errors='replace'"
        ) from None


def _in_order(marks: regex.Match[str]) -> str:
    """Decompose and order combining marks as NFC does; Python's own takes time by the square of their number."""
    single = [mark for given in marks.group() for mark in unicodedata.normalize("NFD", given)]
    runs = (list(run) for _, run in groupby(single, key=lambda mark: unicodedata.combining(mark) > 0))
    return "".join(mark for run in runs for mark in sorted(run, key=unicodedata.combining))


@lru_cache(maxsize=1 << 18)
def split_chunk(chunk: str) -> tuple[str, ...]:
    """Split a piece of normalised text without spaces into token surfaces; joined, they give ``chunk`` again."""
    if chunk.isascii():  # most chunks are a bare word, or one with a mark after it
        if chunk.isalpha():
            return (chunk,)
        if chunk[:-1].isalpha() and chunk[-1] in ",;:!?":
            return (chunk[:-1], chunk[-1])
    surfaces: list[str] = []
    for match in _CHUNK.finditer(chunk):
        surfaces.extend(_split_clitics(match.group()))
    return tuple(surfaces)


def _split_clitics(surface: str) -> list[str]:
    """Split ``he'd've`` into ``he``, ``'d``, ``'ve``."""
    if "'" not in surface and "’" not in surface:
        return [surface]
    tail: list[str] = []
    while True:
        match = _T.fullmatch(surface) or _CLITIC.search(surface)
        if match is None:
            return [surface, *reversed(tail)]
        cut = match.start(match.lastindex or 0)
        tail.append(surface[cut:])
        surface = surface[:cut]
