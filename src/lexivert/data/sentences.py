"""Sentence splitting of plain text by rules, and paragraphs of hard-wrapped text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lexivert.text import tokenizer

_OFTEN_WORDS = """
revd ste lieut adm cmdr no nos p fig figs chap sec art eg ie e.g i.e mar jun jul sep dept univ assn approx c est op
cit"""  # or so rare that a token of their own, point included, is not worth it: the tokenizer splits their point off
ABBREVIATIONS = frozenset(map(str.lower, tokenizer.ABBREVIATIONS)) | frozenset(_OFTEN_WORDS.split())
"""Words that a full stop doesn't end a sentence after, lowercase: those that keep their point, and some more."""

SPEECH_VERBS = (
    "said|says|asked|cried|replied|answered|exclaimed|returned|observed|repeated|inquired|enquired|whispered|shouted"
    "|added|continued|remarked|called|thought|began|demanded|muttered|murmured|screamed|growled|went on"
)

_OPENERS = r"[\"'“‘«(\[]"
_CLOSERS = r"[\"'”’»)\]]"
_BOUNDARY = re.compile(rf"(?<=\S)([.!?…]+)({_CLOSERS}*)\s+(?=(?:{_OPENERS}|-{{2,}}|—)*[^\W_])")
_NEXT_LOWER = re.compile(rf"(?:{_OPENERS}|-{{2,}}|—|\s)*[a-zà-öø-ÿ]")
_ATTRIBUTION = re.compile(
    rf"(?:(?:the|The|Mr|Mrs|Miss|Lady|Sir|Dr|Father)\.? )?(?:[A-Z]\w+ ){{1,3}}(?:{SPEECH_VERBS})\b"
)
_LAST_TOKEN = re.compile(r"[^\s\"'“‘«(\[—-]*$")
_INITIAL = re.compile(r"(?:[A-Z]\.)*[A-Z]$")
_OPEN_DOUBLE = re.compile(r"(?:^|(?<=[\s'(\[—-]))\"(?=[\w'-])")
_CLOSE_DOUBLE = re.compile(r"(?<=[^\s(\[—-])\"(?!\w)|(?<=[—-])\"(?=\s|$)")
_OPEN_SINGLE = re.compile(
    r"(?:^|(?<=[\s\"(—-]))'(?=\w)(?!(?:tis|twas|twere|twill|twould|twixt|em|til|gainst|mongst|neath|bout|d|s|t)\b)",
    re.I,
)
_CLOSE_SINGLE = re.compile(r"(?<=[.,!?;:)\"-])'(?!\w)|(?<=\w)'$")
_CLAUSE_END = re.compile(r"(?<=[;:])\s+|(?<=,)\s+(?=(?:and|but|or|nor|for|which|who|that|when|while|as|if)\b)")


def split_sentences(paragraph: str) -> list[str]:
    """Split one paragraph of plain text into sentences.

    A sentence ends at ``.``, ``!``, ``?`` or ``…`` (with closing quotes) before white space and a capital, digit or
    opening quote; not after an abbreviation or an initial, and not between quoted speech and ``Alice asked``.

    Args:
        paragraph: text without paragraph breaks; white space is collapsed.

    Returns:
        Non-empty sentences as they stand; joined by spaces they are the paragraph again.
    """
    text = " ".join(paragraph.split())
    sentences, start = [], 0
    for match in _BOUNDARY.finditer(text):
        if _is_end(text, match):
            sentences.append(text[start : match.end()].rstrip())
            start = match.end()
    sentences.append(text[start:])
    return [sentence for sentence in sentences if any(map(str.isalnum, sentence))]


def _is_end(text: str, match: re.Match[str]) -> bool:
    following = text[match.end() : match.end() + 60]
    if _NEXT_LOWER.match(following):
        return False
    if match[2] and match[1] != "." and _ATTRIBUTION.match(following):
        return False
    if match[1] != "." or match[2]:
        return True
    token = _LAST_TOKEN.search(text[max(0, match.start() - 30) : match.start()])
    word = token[0] if token else ""
    if word.lower() in ABBREVIATIONS:
        return False
    return not (_INITIAL.match(word) and word != "I")


def balance_quotes(sentence: str) -> str:
    """Mend quotation marks and brackets whose partner went to another sentence.

    A lone mark at the very start or end is dropped; one inside gets its partner at the sentence's other end:
    ``"No," said he, "I never did.`` is closed, ``it was fine," said he.`` is opened.
    """
    sentence = _balance_brackets(_balance_brackets(sentence, "(", ")"), "[", "]")
    sentence = _balance_quotes(sentence, '"', _OPEN_DOUBLE, _CLOSE_DOUBLE)
    return _balance_quotes(sentence, "'", _OPEN_SINGLE, _CLOSE_SINGLE)


def _balance_brackets(sentence: str, opener: str, closer: str) -> str:
    surplus = sentence.count(opener) - sentence.count(closer)
    if surplus > 0:
        return sentence[1:].lstrip() if sentence.startswith(opener) else sentence + closer
    if surplus < 0:
        return sentence[:-1].rstrip() if sentence.endswith(closer) else opener + sentence
    return sentence


def _balance_quotes(sentence: str, mark: str, opens: re.Pattern[str], closes: re.Pattern[str]) -> str:
    """Balance one kind of straight quote; what is an opener and what a closer, its neighbours tell."""
    found = [(match.start(), True) for match in opens.finditer(sentence)]
    found += [(match.start(), False) for match in closes.finditer(sentence)]
    found.sort()
    if len(found) == 1:
        at, is_opener = found[0]
        if at == 0 and is_opener:
            return sentence[1:]
        if at == len(sentence) - 1 and not is_opener:
            return sentence[:-1]
    before = mark if found and not found[0][1] else ""
    after = mark if found and found[-1][1] else ""
    return f"{before}{sentence}{after}"


def paragraphs(text: str, *, wrap: int = 100) -> Iterator[str]:
    """Paragraphs of plain text that may be hard-wrapped: blocks between blank lines, their lines joined.

    A line longer than ``wrap`` characters isn't hard-wrapped and stands for itself, and so does a line far shorter
    than its block's longest one when the next begins with a capital (lists, titles).
    """
    for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n").replace("\r", "\n")):
        if lines := [line.strip() for line in block.splitlines() if line.strip()]:
            yield from _join_wrapped(lines, wrap)


def _join_wrapped(lines: list[str], wrap: int) -> Iterator[str]:
    width = max(map(len, lines))
    current: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        current.append(line)
        ends = width > wrap or (len(line) < width / 2 and following[:1].isupper())
        if ends or not following:
            yield " ".join(current)
            current = []


def limit_words(sentences: Iterable[str], most: int) -> Iterator[str]:
    """Cut sentences of more than ``most`` words at clause ends into parts of at most ``most`` words.

    Clause ends are ``;``, ``:`` and commas before a conjunction; without one, the cut falls between two words.
    """
    for sentence in sentences:
        if sentence.count(" ") < most:
            yield sentence
        else:
            yield from _cut(sentence, most)


def _cut(sentence: str, most: int) -> Iterator[str]:
    words = sentence.split(" ")
    while len(words) > most:
        head = " ".join(words[:most])
        ends = [m.start() for m in _CLAUSE_END.finditer(head)]
        cut = head[: ends[-1]].count(" ") + 1 if ends and ends[-1] > len(head) // 3 else most
        yield " ".join(words[:cut])
        words = words[cut:]
    yield " ".join(words)
