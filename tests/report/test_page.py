"""The page is safe HTML in which every element is closed."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from lexivert.report import figures
from lexivert.report.page import Cards, Figures, Heading, Paragraph, Section, Table, cell, render
from lexivert.report.terms import TERMS

VOID = {"meta", "link", "br"}


class Outline(HTMLParser):
    """Checks that elements nest, and collects text and attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"script", "style"}:
            self.texts.append(data)

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.seen)


def outline(*sections: Section) -> Outline:
    found = Outline()
    found.feed(render("Results", "of a run", sections))
    found.close()
    assert found.open == []
    return found


@pytest.fixture
def section() -> Section:
    frame = pd.DataFrame({"cosine": [0.25, 12.0]}, index=pd.Index(["<end>", "of the"], name="unit"))
    figure = figures.lines([1, 2], {"loss": [0.5, 0.25]}, "step", "loss")
    parts = [
        Cards([("exact", 1.0)]),
        Heading("A heading", "Below it."),
        Paragraph("Plain."),
        Table(frame),
        Figures([(figure, "A line.")]),
    ]
    return Section("one", "First", "A paragraph with <b> & quotes.", parts)


def test_text_is_escaped_and_not_lost(section):
    found = outline(section)
    texts = set(map(str.strip, found.texts))
    assert {"A paragraph with <b> & quotes.", "<end>", "A heading", "Below it.", "Plain.", "A line."} <= texts
    assert {"unit", "cosine", "0.250", "12.0", "1.000", "exact"} <= texts
    assert found.count("b") == 1  # the card's; the paragraph's is text


def test_every_section_with_a_title_is_linked_once(section):
    found = outline(Section("none", ""), section, Section("two", "Second"))
    links = [attributes["href"] for tag, attributes in found.seen if tag == "a" and "class" not in attributes]
    assert links == ["#one", "#two", "#terms"]
    assert [attributes.get("id") for tag, attributes in found.seen if tag == "h2"] == ["one", "two", "terms"]


def test_nothing_is_fetched_from_elsewhere(section):
    for tag, attributes in outline(section).seen:
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)


def test_a_figure_cannot_end_its_script(section):
    figure = figures.lines([1], {"</script><b>": [1.0]}, "x", "y")
    found = outline(section, Section("two", "Second", parts=[Figures([(figure, "caption")])]))
    assert found.count("figure") == 2
    assert found.count("b") == 1


def test_figures_are_numbered_through_the_page(section):
    found = outline(section, section)
    names = [attributes["id"] for _, attributes in found.seen if attributes.get("class") == "plotly-graph-div"]
    assert names == ["figure-1", "figure-2"]


def test_the_same_content_gives_the_same_bytes(section):
    assert render("Results", "of a run", [section]) == render("Results", "of a run", [section])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.12345, "0.123"),
        (-3.0, "-3.000"),
        (1234.5678, "1,234.6"),
        (np.float64(0.5), "0.500"),
        (1234, "1,234"),
        ("a", "a"),
    ],
)
def test_numbers_are_short(value, shown):
    assert cell(value) == shown


def test_strings_are_set_left_and_long_ones_have_room():
    frame = pd.DataFrame({"unit": ["short", "x" * 41], "p": [0.5, 1.0], "tag": ["a", "b"]}, index=[1, 2])
    found = outline(Section("one", "First", parts=[Table(frame)]))
    for name, expected in (("td", ["text", "text long", None, "text"] * 2), ("th", ["text", "text", None, "text"])):
        assert [attributes.get("class") for tag, attributes in found.seen if tag == name] == expected


def test_a_folded_table_opens_when_asked():
    frame = pd.DataFrame({"a": [1]})
    found = outline(Section("one", "First", parts=[Table(frame, "closed"), Table(frame, "open", opened=True)]))
    assert [attributes for tag, attributes in found.seen if tag == "details"] == [{}, {"open": None}]


def tables(*frames: pd.DataFrame) -> list[str | None]:
    found = outline(Section("one", "First", parts=[Table(frame) for frame in frames]))
    classes = [attributes.get("class") or "" for tag, attributes in found.seen if tag == "div"]
    return [name for name in classes if name.split()[:1] == ["table"]]


def test_texts_are_stacked_where_it_is_narrow_and_numbers_scroll():
    texts = pd.DataFrame({"residual": [0.5], "text so far": ["The owl"]}, index=pd.Index([1], name="step"))
    numbers = pd.DataFrame({"exact": [0.5]}, index=pd.Index(["clean"], name="vector"))
    assert tables(texts, numbers) == ["table stacked", "table"]
    found = outline(Section("one", "First", parts=[Table(texts), Table(numbers)]))
    assert [attributes.get("data-label") for tag, attributes in found.seen if tag == "td"] == [
        *("step", "residual", "text so far"),
        *("vector", "exact"),
    ]
    assert found.texts.count("More columns to the right: swipe or scroll →") == 2


def test_a_term_shows_what_it_means_and_links_to_its_line():
    frame = pd.DataFrame({"exact": [1.0]}, index=pd.Index(["cascade, unigram prior, noisy"], name="decoder, vector"))
    found = outline(Section("one", "First", parts=[Table(frame)]))
    links = [attributes for tag, attributes in found.seen if tag == "a" and attributes.get("class") == "term"]
    assert [link["href"] for link in links] == [
        *("#term-decoder", "#term-vector", "#term-exact"),
        *("#term-cascade-unigram-prior", "#term-noisy"),
    ]
    assert links[2]["title"] == TERMS["exact"]
    listed = [attributes["id"] for tag, attributes in found.seen if tag == "dt"]
    assert sorted(listed) == sorted(link["href"].removeprefix("#") for link in links)
    assert {TERMS["exact"], TERMS["noisy"]} <= set(found.texts)


def test_a_unit_that_is_spelled_like_a_term_is_no_term():
    near = pd.DataFrame({"space": ["unit codes"], "nearest": ["random"]}, index=pd.Index(["exact"], name="unit"))
    found = outline(Section("one", "First", parts=[Table(near, terms=("space",))]))
    assert [attributes["id"] for tag, attributes in found.seen if tag == "dt"] == [
        *("term-unit", "term-space", "term-unit-codes"),
    ]


def test_a_legend_names_every_series_once_and_can_switch_it():
    figure = figures.lines(
        [1, 2], {"a": [0, 1], "exact": [1, 1], "b": [1, 1]}, "x", "y", dashed=["b"], banded="exact"
    )
    found = outline(Section("one", "First", parts=[Figures([(figure, "caption")])]))
    buttons = [attributes for tag, attributes in found.seen if tag == "button"]
    assert [button["data-trace"] for button in buttons] == ["0", "1", "2"]
    assert [button["title"] for button in buttons] == [TERMS["exact"], "", ""]
    assert [attributes["class"] for tag, attributes in found.seen if tag == "i"] == ["solid wide", "solid", "dotted"]


def test_no_line_hides_the_one_that_matters():
    series = {name: [1.0, 1.0] for name in ("one", "two", "controller", "three")}
    figure = figures.lines([1, 2], series, "x", "y", banded="controller")
    first, *others = figure.data  # drawn in this order
    assert first.name == "controller"
    assert [trace.name for trace in others] == ["one", "two", "three"]
    assert first.line.width > 3 * max(trace.line.width for trace in others)  # so it is seen on both sides of them
    assert first.line.color not in {trace.line.color for trace in others}
    assert len({trace.line.color for trace in others}) == 3


def test_points_of_one_group_stand_side_by_side():
    value = (0.5, 0.25, 0.875)
    figure = figures.with_intervals(["width 192"], {"a": [value], "b": [value]}, "share", accented="b")
    assert figure.layout.scattermode == "group"
    assert len({trace.offsetgroup for trace in figure.data}) == 2
    assert figure.data[1].marker.color == figures.ACCENT != figure.data[0].marker.color


def test_names_of_groups_are_wrapped():
    figure = figures.bars(["subject and object swapped", "negation"], {"order part": [1.0, 0.5]}, "accuracy")
    assert list(figure.data[0].x) == ["subject and<br>object<br>swapped", "negation"]
    assert figure.layout.xaxis.tickangle == 0


def test_a_gap_is_not_drawn():
    figure = figures.lines([1, 2, 3], {"a": [1.0, float("nan"), 3.0]}, "x", "y")
    assert list(figure.data[0].x) == [1.0, 3.0]
    assert list(figure.data[0].y) == [1.0, 3.0]


def test_intervals_are_drawn_as_distances_from_the_value():
    figure = figures.with_intervals(["width 192"], {"cascade": [(0.5, 0.25, 0.875)]}, "share")
    assert list(figure.data[0].error_y.array) == [0.375]
    assert list(figure.data[0].error_y.arrayminus) == [0.25]


def test_a_map_draws_every_point_once_and_rare_classes_as_other():
    classes = [f"class {number}" for number in range(20) for _ in range(20 - number)]
    places = np.arange(2.0 * len(classes)).reshape(-1, 2)
    figure = figures.scatter(places, [str(row) for row in range(len(classes))], classes)
    assert len(figure.data) == 12
    assert figure.data[0].name == "class 0"
    assert figure.data[-1].name == "other"
    assert sorted(int(label) for trace in figure.data for label in trace.text) == list(range(len(classes)))
