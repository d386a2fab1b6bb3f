"""Wikipedia's markup by hand, a small dump, and the packaged one."""

from __future__ import annotations

import bz2

import pytest

from lexivert.data.wikipedia import page_paragraphs, page_sentences, read_pages
from lexivert.errors import DamagedArtifactError

TAIL = " This is the end of a line that is long enough."


@pytest.mark.parametrize(
    ("markup", "prose"),
    [
        ("'''Anarchism''' is a ''[[political philosophy]]''.", "Anarchism is a political philosophy."),
        ("It is [[self-governance|self-governed]] by [[state]]s.", "It is self-governed by states."),
        ("One.<ref name=x>{{cite book|title=A}} and [[more]]</ref> Two.<ref name=x/>", "One. Two."),
        ("It was<!-- when? --> cold{{citation needed|date=May 2015}}.", "It was cold."),
        ("[[File:A.jpg|thumb|A [[cat]] sits.]]The cat [http://a.b/c?d=e sits] here.", "The cat sits here."),
        ("A cat (''Felis'') sits[http://a.b/c].", "A cat (Felis) sits."),
        ("Tom &amp; Jerry: 5&nbsp;m of H<sub>2</sub>O &ndash; no more.", "Tom & Jerry: 5 m of H2O – no more."),
        ("Its name ({{IPAc-en|ə}}) is Greek ({{lang|grc|ὄνομα}}).", "Its name is Greek (ὄνομα)."),
        ("Its name ({{IPA-el|a}}; 1900) is old.", "Its name (1900) is old."),
        ("[[fr:Chat]][[Category:Cats]][[:Category:Dogs]] and cats.", "Category:Dogs and cats."),
        ("Cats[[simple:Cat]][[zh-min-nan:Niau]][[be-x-old:Кот]] sit.", "Cats sit."),
        (
            "It is in [[CSI: Miami]], [[CSI: NY|New York]] and [[Thor: A]].",
            "It is in CSI: Miami, New York and Thor: A.",
        ),
        ("Cats{{clarify|date=May 2015}} sit{{citation needed}} here{{cn}}.", "Cats sit here."),
    ],
)
def test_marks_go_and_words_stay(markup, prose):
    assert page_paragraphs(markup + TAIL) == [prose + TAIL]


@pytest.mark.parametrize(
    "lost",
    [
        "It is {{convert|20|km}} long.",
        "He wrote {{sic|hte}} here.",
        "He wrote {{Sic}} there.",
        "It is old {{citation|title=A book|year=1900}} here.",
        "It is {{citation needed span|the oldest of all|date=May 2015}} here.",
        "It is {{clarify span|an odd one}} here.",
        "It is {{or-span|an odd one}} here.",
        "The name {{audio|f.ogg|Wien}} is old.",
        "The city ({{lang-fr|Vienne}}) is old.",
        "It is seen in [[de: Wien]] here.",
        "It is seen in [[De:Wien]] here.",
        "It is seen in [[xyz:Wien]] here.",
        "It holds <math>a^2 = b</math> here.",
        "It has 10<sup>6</sup> parts.",
        "See http://example.com for more.",
        "The [[unclosed link is odd.",
        "It has {{unclosed|markup here.",
        "The name , as they say, is old.",
        "It is old (they say ).",
    ],
)
def test_a_sentence_with_a_gap_or_remains_of_markup_is_left_out(lost):
    assert page_sentences(f"The cat sat down. {lost} The dog came in.") == ["The cat sat down.", "The dog came in."]


def test_lists_tables_headings_and_fragments_are_no_prose():
    page = (
        "{{Infobox|name=Cat|text={{nested|x}}}}\n"
        "{| class=wikitable\n| A cell that is as long as any paragraph of this page is.\n|}\n"
        "== Heading of a part that is as long as any paragraph is ==\n"
        "* An item of a list that is as long as any paragraph of this page is.\n"
        "The paragraph of this page that is wanted\ngoes on in the next line.\n\n"
        "Short caption.\n\n"
        "These are the items of the list that follows here:\n"
        ":where a formula was that continues with this explanation of it.\n"
        "<math>x</math>\nwhere a fragment goes on in lower case after a formula.\n"
    )
    assert page_paragraphs(page) == ["The paragraph of this page that is wanted goes on in the next line."]


def dump(tmp_path, pages):
    path = tmp_path / "pages.xml.bz2"
    space = 'xmlns="http://www.mediawiki.org/xml/export-0.10/"'
    path.write_bytes(bz2.compress(f"<mediawiki {space}>{pages}</mediawiki>".encode()))
    return path


def test_articles_are_read_in_order_without_redirections(tmp_path):
    page = "<page><title>{}</title><ns>{}</ns>{}<revision><text>{}</text></revision></page>"
    pages = [
        page.format("A", 0, "", "Text &lt;b&gt;a."),
        page.format("B", 0, '<redirect title="A"/>', "#REDIRECT [[A]]"),
    ]
    pages += [page.format("User:C", 2, "", "c"), page.format("D", 0, "", "")]
    found = list(read_pages(dump(tmp_path, "".join(pages))))
    assert [(page.title, page.text) for page in found] == [("A", "Text <b>a."), ("D", "")]


@pytest.mark.parametrize("content", [b"nonsense", bz2.compress(b"<mediawiki><page>"), bz2.compress(b"<a/>")[:-5]])
def test_a_damaged_dump_is_one_line(tmp_path, content):
    path = tmp_path / "pages.xml.bz2"
    path.write_bytes(content)
    with pytest.raises(DamagedArtifactError, match=r"can't be read .*run `dvc repro -f fetch`$") as caught:
        list(read_pages(path))
    assert "\n" not in str(caught.value)


def test_the_packaged_pages_are_prose(embedded):
    (path,) = embedded.wikipedia.iterdir()
    pages = list(read_pages(path))
    sentences = [sentence for page in pages for sentence in page_sentences(page.text)]
    assert (pages[0].title, len(pages)) == ("Anarchism", 106)
    assert sentences[0].startswith(
        "Anarchism is a political philosophy that advocates self-governed societies based on"
    )
    assert len(sentences) > 16_000
    assert sum(sentence.count(" ") + 1 for sentence in sentences) > 350_000
    text = "\n".join(sentences)
    for mark in ("[[", "]]", "{{", "}}", "<ref", "''", "|", "http", "&nbsp;", "\ufffc", "ISBN"):
        assert mark not in text
