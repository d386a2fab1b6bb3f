"""WikiText's convention (Merity et al. 2016), all of it: documents, sentences, tokens, spacing and spelling.

WikiText puts a space round every token, writes ``-``, ``,`` and ``.`` inside words and numbers as ``@-@``, ``@,@``
and ``@.@``, splits clitics as ``didn 't``, and marks titles as `` = Title = ``. Its tokens are merged here as those
of plain text are, so that both kinds of text share units, and written back to the letter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import regex  # type: ignore[import-untyped]

from lexivert.text.lexicon import JOIN, SPACE
from lexivert.text.shapes import (
    AFTER_CJK,
    AFTER_CLOSE,
    AFTER_INFIX,
    AFTER_NUMBER,
    AFTER_PLURAL,
    AFTER_SYMBOL,
    AFTER_WORD,
    AT_START,
    BLANK,
    CJK,
    COMMA,
    DIGIT,
    EN_DASH,
    HYPHEN,
    INFIX,
    LETTERS,
    NOT,
    NUMBER,
    OTHER,
    PIECE,
    POINT,
    THOUSAND,
    THOUSANDS,
    Shape,
    shape,
)
from lexivert.text.spacing import Line
from lexivert.text.tokenizer import KEEPS_N_BEFORE_T, normalize

MOST_CHARACTERS = 5
"""Characters that one of a surface's may become: a mark inside a word is written `` @-@ ``."""
_MARKS = {"@-@": "-", "@,@": ",", "@.@": "."}
NOTATION = (*_MARKS, "<unk>", "<wikitext>")
"""What only WikiText has, and this lexicon's mark of it: no part of any other text."""
_CLITICS = frozenset({"'", "'d", "'ll", "'m", "'re", "'s", "'ve", "'t"})
_INNER_SIGNS, _FINAL_SIGNS, _HEADING_SIGN = (",", ";", "(", '"', "'s"), (".", "?", "!"), "="
SIGNS = frozenset({*_INNER_SIGNS, *_FINAL_SIGNS, _HEADING_SIGN, *_MARKS})
"""A text without any of these between white space is not in WikiText's convention."""
_SPACED_SIGNS = tuple(f" {sign} " for sign in _INNER_SIGNS)
_SPACED_ENDS = tuple(f" {sign}" for sign in _FINAL_SIGNS)
_AFTER_ALNUM = (AFTER_WORD, AFTER_PLURAL, AFTER_NUMBER)

_TITLE = regex.compile(r"^ ?= (?!=)\S.* = ?$")
_HEADING = regex.compile(r"^\s*=.*=\s*$")
_BLANK_LINES = regex.compile(r"(?:[^\S\n]*\n)*")
_MARK = regex.compile(r"(?<!\S)@[-,.]@(?!\S)")
_SPACED_MARK = regex.compile(r"@[-,.]@| [,.;:?!)'\"](?= |$)| 's ")
_ATTACHED = regex.compile(r"[\p{L}\p{N})\]\"'’”][,;:?!]|[\p{Ll}\p{N}]{3}\.|[\"“(]\p{L}|\p{L}[\"”)]")
_INNER_MARK = regex.compile(r"(?<=[\p{L}\p{N}\p{M}])-(?=[\p{L}\p{N}])|(?<=\p{N})[.,](?=\p{N})")
_INNER_APOSTROPHE = regex.compile(r"(?<=[\p{L}\p{M}])'(?=[\p{L}\p{N}])")
_RAW_MARK = regex.compile(r"([-,.'])")
_JOINED_T = regex.compile(r"(?is)(.*\p{L})n")
_STARTS_ALNUM, _ENDS_ALNUM = regex.compile(r"[\p{L}\p{N}]"), regex.compile(r"(?r)[\p{L}\p{N}\p{M}]$")
_STARTS_DIGIT, _ENDS_DIGIT = regex.compile(r"\p{N}"), regex.compile(r"(?r)\p{N}$")


def is_wikitext(text: str) -> bool:
    """Whether a document begins with a title line, blank lines aside."""
    start = _BLANK_LINES.match(text).end()
    end = text.find("\n", start)
    return is_title(text[start : end if end >= 0 else None])


def is_title(line: str) -> bool:
    """Whether a line is an article's title: `` = Title = ``, not `` = = Section = = ``."""
    return bool(_TITLE.match(line))


def is_heading(line: str) -> bool:
    """Whether a line is a title or a section's heading."""
    return bool(_HEADING.match(line))


def group_articles(lines: Iterable[str]) -> Iterator[str]:
    """Join WikiText lines to articles: a line `` = Title = `` after a blank line (or first) begins one."""
    article: list[str] = []
    blank = True
    for line in lines:
        if blank and is_title(line.rstrip("\n")) and any(map(str.strip, article)):
            yield "".join(article)
            article = []
        article.append(line if line.endswith("\n") else line + "\n")
        blank = not line.strip()
    if any(map(str.strip, article)):
        yield "".join(article)


def article_sentences(text: str) -> list[str]:
    """Sentences of a document, headings dropped, tokens kept as they are."""
    lines = (line for line in text.splitlines() if not is_heading(line))
    return [sentence for line in lines for sentence in split_wikitext(line)]


def split_wikitext(line: str) -> list[str]:
    """Split one WikiText line into sentences, its tokens kept as they are.

    A sentence ends at a token ``.``, ``!`` or ``?`` (a closing ``"`` or ``)`` goes with it) unless the next token
    begins with a lowercase letter.
    """
    tokens = line.split()
    sentences, start, quotes, index = [], 0, 0, 0
    while index < len(tokens):
        word = tokens[index]
        quotes += word == '"'
        index += 1
        if word not in {".", "!", "?"}:
            continue
        while index < len(tokens) and (tokens[index] in {")", "'"} or (tokens[index] == '"' and quotes % 2)):
            quotes += tokens[index] == '"'
            index += 1
        if index < len(tokens) and not tokens[index][0].islower():
            sentences.append(" ".join(tokens[start:index]))
            start = index
    sentences.append(" ".join(tokens[start:]))
    return [sentence for sentence in sentences if any(map(str.isalnum, sentence))]


def looks_like_wikitext(text: str) -> bool:
    """Guess cheaply whether text is in WikiText's convention: marks spaced out, none attached to a word."""
    if "@" in text and _MARK.search(text):
        return True
    spaced = any(sign in text for sign in _SPACED_SIGNS) or text.endswith(_SPACED_ENDS)
    marked = spaced or text.strip().startswith(f"{_HEADING_SIGN} ")
    return marked and not _ATTACHED.search(text)


def tokenize_wikitext(text: str) -> list[str]:
    """Split text in WikiText's convention into token surfaces, inner marks and clitics merged as in plain text.

    ``join_wikitext`` gives ``normalize(text)`` again for text that keeps the convention throughout; text
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
    if chunk in {"'t", "'T"} and before.lower() not in KEEPS_N_BEFORE_T:
        match = _JOINED_T.fullmatch(before)
        if match is not None:
            tokens[-1] = match.group(1)
            tokens.append(before[-1] + chunk)
            return
    inner = chunk.lower() not in _CLITICS and _STARTS_ALNUM.match(chunk, 1) and _ENDS_ALNUM.search(before)
    if inner and not _ENDS_DIGIT.search(before):
        tokens[-1] += chunk
    else:
        tokens.append(chunk)


def count_marks(text: str) -> int:
    """How many marks of normalised text stand as the convention has them."""
    return len(_SPACED_MARK.findall(text))


def breaks_convention(chunk: str) -> bool:
    """Whether a chunk has inner marks that should be spaced out."""
    return len(chunk) > 1 and wikitext_form(chunk) != chunk


def split_raw(chunk: str) -> list[tuple[str, bool]]:
    """Split such a chunk at its inner marks; each part with whether it is a mark."""
    return [(part, bool(_RAW_MARK.match(part))) for part in _RAW_MARK.split(chunk) if part]


class WikitextSpacing:
    """Walk over the shapes of text in WikiText's convention, where nearly every token has white space round it.

    "No white space" here means that the token goes on inside: ``red`` ``-`` ``tipped`` is written ``red @-@ tipped``.
    """

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = AT_START

    def wants_space(self, token: Shape, following: int | None) -> bool:
        """See ``PlainSpacing.wants_space``."""
        right, left = token.right, self.left
        if right in (HYPHEN, POINT, COMMA):
            return not self._goes_inside(right, following)
        if right in (PIECE, NOT, BLANK) or left == AFTER_INFIX:
            return False
        if right in (NUMBER, THOUSANDS):
            return left != AFTER_NUMBER
        if right == LETTERS:
            return left not in _AFTER_ALNUM
        return right != CJK or left != AFTER_CJK

    def _goes_inside(self, right: int, following: int | None) -> bool:
        """Whether a mark stands inside a word or number, so that WikiText writes ``@`` round it."""
        if right == HYPHEN:
            return self.left in _AFTER_ALNUM and following not in (None, OTHER)
        return self.left == AFTER_NUMBER and (following == THOUSAND or (right == POINT and following == DIGIT))

    def advance(self, token: Shape, spaced: bool, following: int | None) -> None:
        """See ``PlainSpacing.advance``."""
        if token.right not in (HYPHEN, POINT, COMMA):
            self.left = AFTER_SYMBOL if token.right in (INFIX, EN_DASH) else token.left
        elif not spaced and not self.wants_space(token, following):
            self.left = AFTER_INFIX
        else:
            self.left = AFTER_CLOSE

    def copy(self) -> WikitextSpacing:
        """Return an independent walk that stands at the same place."""
        other = WikitextSpacing()
        other.left = self.left
        return other


@lru_cache(maxsize=1 << 18)
def wikitext_form(surface: str) -> str:
    """Write a token as WikiText does: ``red-tipped`` as ``red @-@ tipped``, ``1,234`` as ``1 @,@ 234``."""
    spaced: str = _INNER_MARK.sub(lambda match: f" @{match.group()}@ ", surface)
    return spaced if surface.lower() == "n't" else str(_INNER_APOSTROPHE.sub(" '", spaced))


def wikitext_text(tokens: list[str]) -> str:
    """Write the tokens of one unit in WikiText's convention: ``do`` ``n't`` as ``don 't``."""
    text = ""
    for token in tokens:
        if shape(token).right == NOT:
            text += f"{token[0]} {token[1:]}"
        else:
            text += f" {wikitext_form(token)}" if text else wikitext_form(token)
    return text


def join_wikitext(line: Line) -> str:
    """Write a line in WikiText's convention."""
    spacing, parts = WikitextSpacing(), list[str]()
    inner = ""  # a token that may go on
    for place, (text, token, link) in enumerate(zip(*line, strict=True)):
        following = line.following(place)
        spaced = link == SPACE if link else spacing.wants_space(token, following)
        spaced = spaced and place > 0
        if spaced or link == JOIN or token.right == NOT:
            parts.append(wikitext_form(inner))
            if spaced:
                parts.append(" ")
            inner = ""
        if token.right == NOT:
            parts.append(wikitext_text(text.split(" ")))
        else:
            inner += text
        spacing.advance(token, spaced, following)
    return "".join((*parts, wikitext_form(inner)))
