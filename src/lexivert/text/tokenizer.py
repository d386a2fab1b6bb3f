"""Text to tokens: plain text and WikiText's spaced-out convention, one token surface for both.

Plain text is cut at white space into chunks, and each chunk is split by itself (so that a chunk is split once a type,
not once an occurrence). Decisions:

- Inner hyphens, apostrophes, underscores, decimal points and thousands commas stay: ``well-known``, ``o'clock``,
  ``3.14``, ``1,234``; so do a point before a lower-case letter (``example.com``) and whole URLs and e-mail addresses.
- Clitics are split off: ``don't`` is ``do`` + ``n't``, ``he'll`` is ``he`` + ``'ll``; can, shan and won stay whole
  before ``'t``, as in WikiText.
- A final point belongs to the token after initials (``U.S.``, ``e.g.``, ``H.``, but not ``I.``) and after the titles
  and Latin abbreviations in ``ABBREVIATIONS``; anywhere else it is a token (``No.`` is more often a sentence).
- Every other punctuation mark is a token; a run of one mark that isn't a quote or bracket is one (``--``, ``...``).
- Han, Hiragana and Katakana are cut into characters, everything that is no letter or digit into grapheme clusters.

WikiText (Merity et al. 2016) puts a space round every token, writes inner ``-``, ``,`` and ``.`` as ``@-@``, ``@,@``
and ``@.@``, and splits clitics as ``didn 't``; here they are merged again, so that both kinds of text share units.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import regex  # type: ignore[import-untyped]

_TITLES = "Mr|Mrs|Ms|Messrs|Mme|Mlle|Dr|St|Sr|Jr|Prof|Rev|Hon|Gen|Col|Capt|Maj|Lt|Sgt|Cpl|Gov|Sen|Rep|Pres|Esq|Mt|Ft"
_FIRMS = "Inc|Co|Ltd|Corp|Bros"
_MONTHS = "Jan|Feb|Apr|Aug|Sept|Oct|Nov|Dec"
_LATIN = "vs|etc|viz|cf|al|ca|seq|ed|eds|pp|vol|vols|ch|Vol|Ch|Ph"
ABBREVIATIONS = frozenset("|".join((_TITLES, _FIRMS, _MONTHS, _LATIN)).split("|"))
"""Words whose final point is part of them."""
WHOLE_BEFORE_T = frozenset({"can", "shan", "won"})
"""Words that keep their final n before ``'t``."""
_WIKITEXT_CLITICS = frozenset({"'", "'d", "'ll", "'m", "'re", "'s", "'ve", "'t"})

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
_CLITIC = regex.compile(rf"(?ri)(?<=.)(?:n{_APOSTROPHE}t|{_APOSTROPHE}(?:s|d|ll|m|re|ve))$")
_T = regex.compile(rf"(?i)(?:can|shan|won)({_APOSTROPHE}t)")
_JOINED_T = regex.compile(r"(?is)(.*\p{L})n")

_MARKS = {"@-@": "-", "@,@": ",", "@.@": "."}
_INNER_MARK = regex.compile(r"(?<=[\p{L}\p{N}\p{M}])-(?=[\p{L}\p{N}])|(?<=\p{N})[.,](?=\p{N})")
_INNER_APOSTROPHE = regex.compile(r"(?<=[\p{L}\p{M}])'(?=[\p{L}\p{N}])")
_STARTS_ALNUM, _ENDS_ALNUM = regex.compile(r"[\p{L}\p{N}]"), regex.compile(r"(?r)[\p{L}\p{N}\p{M}]$")
_STARTS_DIGIT, _ENDS_DIGIT = regex.compile(r"\p{N}"), regex.compile(r"(?r)\p{N}$")
_MARK = regex.compile(r"(?<!\S)@[-,.]@(?!\S)")
_INNER_SIGNS, _FINAL_SIGNS, _HEADING_SIGN = (",", ";", "(", '"', "'s"), (".", "?", "!"), "="
_SPACED_SIGNS = tuple(f" {sign} " for sign in _INNER_SIGNS)
_SPACED_ENDS = tuple(f" {sign}" for sign in _FINAL_SIGNS)
WIKITEXT_SIGNS = frozenset({*_INNER_SIGNS, *_FINAL_SIGNS, _HEADING_SIGN, *_MARKS})
"""A text without any of these between white space is not in WikiText's convention."""
_ATTACHED = regex.compile(r"[\p{L}\p{N})\]\"'’”][,;:?!]|[\p{Ll}\p{N}]{3}\.|[\"“(]\p{L}|\p{L}[\"”)]")


def normalize(text: str) -> str:
    """Return ``text`` in Unicode NFC with white space collapsed to single spaces and none at the ends.

    Raises:
        ValueError: the text holds a lone surrogate, which is no character and has no UTF-8 form.
    """
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            code = f"U+{ord(text[error.start]):04X}"
            raise ValueError(
                f"text holds the lone surrogate {code} at character {error.start}, which is not valid Unicode; "
                "decode the source with errors='replace'"
            ) from None
        text = unicodedata.normalize("NFC", text)
    return " ".join(text.split())


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


def tokenize_wikitext(text: str) -> list[str]:
    """Split text in WikiText's convention into token surfaces, inner marks and clitics merged as in plain text.

    ``rendering.join_wikitext`` gives ``normalize(text)`` again for text that keeps the convention throughout; text
    that mixes conventions (a raw ``18-yard`` among ``@-@``) must be compared.

    Raises:
        ValueError: see ``normalize``.
    """
    chunks = normalize(text).split()
    tokens: list[str] = []
    position = 0
    while position < len(chunks):
        chunk = chunks[position]
        following = chunks[position + 1] if position + 1 < len(chunks) else ""
        if chunk in _MARKS and tokens and _joins(tokens[-1], chunk, following):
            tokens[-1] += _MARKS[chunk] + following
            position += 2
            continue
        if chunk[0] == "'" and tokens:
            _attach_apostrophe(tokens, chunk)
        else:
            tokens.append(chunk)
        position += 1
    return tokens


def _joins(before: str, mark: str, after: str) -> bool:
    """Whether ``@-@``, ``@,@`` or ``@.@`` stands inside a word or number."""
    if mark == "@-@":
        return bool(_ENDS_ALNUM.search(before) and _STARTS_ALNUM.match(after))
    return bool(_ENDS_DIGIT.search(before) and _STARTS_DIGIT.match(after))


def _attach_apostrophe(tokens: list[str], chunk: str) -> None:
    """Append ``chunk``, which begins with an apostrophe: ``didn 't``, ``can 't``, ``he 's``, ``o 'clock``."""
    before = tokens[-1]
    if chunk in {"'t", "'T"} and before.lower() not in WHOLE_BEFORE_T:
        match = _JOINED_T.fullmatch(before)
        if match is not None:
            tokens[-1] = match.group(1)
            tokens.append(before[-1] + chunk)
            return
    inner = chunk.lower() not in _WIKITEXT_CLITICS and _STARTS_ALNUM.match(chunk, 1) and _ENDS_ALNUM.search(before)
    if inner and not _ENDS_DIGIT.search(before):
        tokens[-1] += chunk
    else:
        tokens.append(chunk)


@lru_cache(maxsize=1 << 18)
def wikitext_form(surface: str) -> str:
    """Write a token as WikiText does: ``red-tipped`` as ``red @-@ tipped``, ``1,234`` as ``1 @,@ 234``."""
    spaced: str = _INNER_MARK.sub(lambda match: f" @{match.group()}@ ", surface)
    return spaced if surface.lower() == "n't" else str(_INNER_APOSTROPHE.sub(" '", spaced))


def looks_like_wikitext(text: str) -> bool:
    """Guess cheaply whether text is in WikiText's convention: marks spaced out, none attached to a word."""
    if "@" in text and _MARK.search(text):
        return True
    spaced = any(sign in text for sign in _SPACED_SIGNS) or text.endswith(_SPACED_ENDS)
    marked = spaced or text.strip().startswith(f"{_HEADING_SIGN} ")
    return marked and not _ATTACHED.search(text)
