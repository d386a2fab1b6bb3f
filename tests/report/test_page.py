"""The page is safe HTML in which every element is closed."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from lexivert.report import figures
from lexivert.report.page import Cards, Figures, Heading, Paragraph, Section, Table, cell, render

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
    assert [attributes["href"] for tag, attributes in found.seen if tag == "a"] == ["#one", "#two"]
    assert [attributes.get("id") for tag, attributes in found.seen if tag == "h2"] == ["one", "two"]


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
    frame = pd.DataFrame({"text": ["short", "x" * 41]}, index=[1, 2])
    found = outline(Section("one", "First", parts=[Table(frame)]))
    cells = [attributes.get("class") for tag, attributes in found.seen if tag == "td"]
    assert cells == [None, "text", None, "text long"]


def test_a_folded_table_opens_when_asked():
    frame = pd.DataFrame({"a": [1]})
    found = outline(Section("one", "First", parts=[Table(frame, "closed"), Table(frame, "open", opened=True)]))
    assert [attributes for tag, attributes in found.seen if tag == "details"] == [{}, {"open": None}]


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
