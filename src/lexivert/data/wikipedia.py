"""Wikipedia pages of a database dump: prose without wiki markup.

What stands between marks is either no part of the sentence (a reference, a note) and goes, or is a part that only
MediaWiki could write out (a formula, a converted measure), and then the sentence goes. Lists, tables, captions and
headings go too: a sentence too few is better than one with markup in it.
"""

from __future__ import annotations

import bz2
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from lexivert.data.sentences import split_sentences
from lexivert.errors import DamagedArtifactError

SHORTEST_PARAGRAPH = 40
"""Characters; shorter lines are captions and remains of templates."""
_LOST = "\ufffc"
"""Stands where text was that can't be written out; the character that Unicode has for it."""
_UNSEEN = re.compile(r"<!--.*?-->|<ref\b[^<>]*/>|<ref\b[^<>]*>.*?</ref\s*>|__[A-Z]+__", re.S | re.I)
_BLOCKS = re.compile(
    r"<(math|gallery|timeline|source|syntaxhighlight|code|pre|sup|table|imagemap|poem|score|hiero|chem)\b[^<>]*>"
    r".*?</\1\s*>",
    re.S | re.I,
)
_TEMPLATE = re.compile(r"\{\{([^{}]*)\}\}")
_TABLE = re.compile(r"\{\|(?:(?!\{\||\|\}).)*\|\}", re.S)
_NOTE = re.compile(
    r"(?!.*[ -]span\b)(?:cit(?:e|ation) needed|cn|fact|sfn|harv|efn|refn?|note|r|rp|dead ?link|clarify|who|when"
    r"|which|why|where|by whom|what|page needed|dubious|verif|failed|fullcit|full|vague|anchor|pp-|disputed|or"
    r"|original|ambiguous|specify|weasel|update|nb|unreferenced|better source|year needed|quantify|attribution"
    r"|peacock|contradict|wikicite"
    r"|use [a-z]+ (?:english|dates)|zwsp?|shy|clear|ipa(?:c?-\w+)?|pron[- ]?\w*|respell|listen)\b",
    re.I,
)
"""Templates that write nothing, a note for editors, or how a word is pronounced; one whose name ends in ``span``
writes the words that the note is about."""
_WRITES = {"'": "'", "nbsp": " ", "spaced ndash": " – ", "snd": " – ", "ndash": "–", "mdash": "—", "spd": " – "}
_QUOTING = re.compile(r"lang$|nowrap$|sc$|smallcaps$|transl$|nihongo2$", re.I)
"""Templates that write their last argument."""
_LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
_NO_TEXT = re.compile(r"\s*(?:file|image|category|media)\s*:", re.I)
_CODED = re.compile(r"\s*((?:[a-z]{2,3}|simple)(?:-[a-z]+){0,2})\s*:(\s?)", re.I)
_CODES = """
aa ab ace ady af ak als am an ang ar arc arz as ast av ay az azb ba bar bat-smg bcl be be-tarask be-x-old bg bh bi
bjn bm bn bo bpy br bs bug bxr ca cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da de diq dsb dv
dz ee el eml en eo es et eu ext fa ff fi fiu-vro fj fo fr frp frr fur fy ga gag gan gd gl glk gn gom got gu gv ha
hak haw he hi hif ho hr hsb ht hu hy hz ia id ie ig ii ik ilo io is it iu ja jam jbo jv ka kaa kab kbd kg ki kj kk
kl km kn ko koi kr krc ks ksh ku kv kw ky la lad lb lbe lez lg li lij lmo ln lo lrc lt ltg lv mai map-bms mdf mg
mh mhr mi min mk ml mn mo mr mrj ms mt mus mwl my myv mzn na nah nap nb nds nds-nl ne new ng nl nn no nov nrm nso
nv ny oc olo om or os pa pag pam pap pcd pdc pfl pi pih pl pms pnb pnt ps pt qu rm rmy rn ro roa-rup roa-tara ru
rue rw sa sah sc scn sco sd se sg sh si simple sk sl sm sn so sq sr srn ss st stq su sv sw szl ta tcy te tet tg th
ti tk tl tn to tpi tr ts tt tum tw ty tyv udm ug uk ur uz ve vec vep vi vls vo wa war wo wuu xal xh xmf yi yo za
zea zh zh-classical zh-min-nan zh-yue zu
"""
_LANGUAGES = frozenset(_CODES.split())
"""Wikipedias of 2016: a link to one of them stands beside a page, not in its text."""
_EXTERNAL = re.compile(r"\[(?:https?|ftp)?:?//[^\s\[\]]+(?:\s+([^\[\]]*))?\]")
_TAG = re.compile(
    r"</?(?:br|small|big|i|b|em|strong|u|s|sub|span|div|center|blockquote|nowiki|abbr|font|p|cite)\b[^<>]*>"
)
_EMPHASIS = re.compile(r"'{2,5}")
_EMPTY_BRACKETS = re.compile(r"\s*\([\s,;:]*\)|(?<=\()[\s,;:]+")
_PROSE = re.compile(r"[\"“'‘(]*[^\W_]")
_BEGINS = re.compile(r"[\"“'‘(\[]*[^\W_a-z]")
_MARKUP = re.compile(
    rf"{_LOST}|\[\[|\]\]|[{{}}|_\\]|<\s*/?\w|''|\"\"|https?:|www\.|&\w+;|==|~~|\w#\w|\bISBN\b"
    r"|\s[,;.](?:\s|$)|\s\)|[(,]\s*[,;]|\(\s|\(\)|\[[\s\d]*\]"
)
"""Remains of markup, and of what was taken out: a sentence that has any is left out."""


@dataclass(frozen=True)
class Page:
    """An article that is no redirection.

    Attributes:
        title: its name.
        text: in MediaWiki's markup.
    """

    title: str
    text: str


def read_pages(path: Path) -> Iterator[Page]:
    """Articles of a compressed dump, in order; redirections and pages of other namespaces are passed over.

    Raises:
        DamagedArtifactError: the file can't be unpacked or is no dump.
    """
    try:
        with bz2.open(path) as dump:
            for _, element in ElementTree.iterparse(dump):  # noqa: S314  (the file is pinned by its hash)
                if _local(element) == "page":
                    page = {_local(part): part.text or "" for part in element.iter()}
                    if page["ns"] == "0" and "redirect" not in page:
                        yield Page(page["title"], page["text"])
                    element.clear()
    except (OSError, EOFError, ElementTree.ParseError, KeyError) as error:
        raise DamagedArtifactError(f"{path} can't be read ({error}); run `dvc repro -f fetch`") from error


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def page_sentences(text: str) -> list[str]:
    """Sentences of one page that are complete and free of markup.

    Args:
        text: in MediaWiki's markup.
    """
    return [
        sentence
        for paragraph in page_paragraphs(text)
        for sentence in split_sentences(paragraph)
        if not _MARKUP.search(sentence)
    ]


def page_paragraphs(text: str) -> list[str]:
    """Paragraphs of prose, the character U+FFFC in place of what can't be written out."""
    text = _BLOCKS.sub(_LOST, _UNSEEN.sub("", text))
    text = _innermost(_TEMPLATE, _template, text)
    text = _innermost(_TABLE, lambda _: "\n", text)
    text = _innermost(_LINK, _link, text)
    text = _EXTERNAL.sub(lambda match: match[1] or "", text)
    text = html.unescape(_EMPHASIS.sub("", _TAG.sub("", text.replace("<br", " <br"))))
    blocks = groupby(text.splitlines(), key=lambda line: bool(_PROSE.match(line)))
    joined = (" ".join(_EMPTY_BRACKETS.sub("", " ".join(lines)).split()) for prose, lines in blocks if prose)
    return [
        block for block in joined if len(block) >= SHORTEST_PARAGRAPH and block[-1] != ":" and _BEGINS.match(block)
    ]


def _innermost(pattern: re.Pattern[str], write: Callable[[re.Match[str]], str], text: str) -> str:
    """Replace what has nothing of its kind inside, until nothing is left to replace."""
    count = 1
    while count:
        text, count = pattern.subn(write, text)
    return text


def _template(match: re.Match[str]) -> str:
    """What a template writes, as far as its name says."""
    name, *arguments = (part.strip() for part in match[1].split("|"))
    if name.lower() in _WRITES:
        return _WRITES[name.lower()]
    if _QUOTING.match(name):
        positional = [part for part in arguments if "=" not in part]
        return positional[-1] if positional else _LOST
    return "" if _NOTE.match(name) else _LOST


def _link(match: re.Match[str]) -> str:
    """What a link shows: nothing for pictures, categories and other languages, else its label or its target.

    What looks like a link to another language, but is to none that is known, can't be told from a title.
    """
    target, _, label = match[1].rpartition("|")
    if _NO_TEXT.match(target or label):
        return ""
    coded = _CODED.match(target or label)
    if coded and coded[1] in _LANGUAGES and not coded[2]:
        return ""
    if coded and (coded[1].islower() or coded[1].lower() in _LANGUAGES):
        return _LOST
    return label.lstrip(":")
