"""The page is whole, safe HTML."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from lexivert.report import figures
from lexivert.report.page import Page, number

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


def outline(page: Page) -> Outline:
    found = Outline()
    found.feed(page.render())
    found.close()
    assert found.open == []
    return found


@pytest.fixture
def page() -> Page:
    page = Page("Results", "of a run")
    page.section("one", "First", "A paragraph with <b> & quotes.")
    page.cards([("exact", "1.000")])
    page.table(["unit", "cosine"], [["<end>", 0.25], ["of the", 12]])
    page.figures((figures.lines([1, 2], {"loss": [0.5, 0.25]}, "step", "loss"), "A line."))
    return page


def test_text_is_escaped_and_not_lost(page):
    found = outline(page)
    assert "A paragraph with <b> & quotes." in found.texts
    assert "<end>" in found.texts
    assert found.count("b") == 1  # the card's; the paragraph's is text


def test_every_section_is_linked_once(page):
    page.section("two", "Second")
    links = [attributes["href"] for tag, attributes in outline(page).seen if tag == "a"]
    assert links == ["#one", "#two"]
    anchors = [attributes.get("id") for tag, attributes in outline(page).seen if tag == "h2"]
    assert anchors == ["one", "two"]


def test_nothing_is_fetched_from_elsewhere(page):
    for tag, attributes in outline(page).seen:
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, value)


def test_a_figure_cannot_end_its_script(page):
    page.figures((figures.lines([1], {"</script><b>": [1.0]}, "x", "y"), "caption"))
    found = outline(page)
    assert found.count("figure") == 2
    assert found.count("b") == 1


def test_the_same_content_gives_the_same_bytes(page):
    again = Page("Results", "of a run")
    again.section("one", "First", "A paragraph with <b> & quotes.")
    again.cards([("exact", "1.000")])
    again.table(["unit", "cosine"], [["<end>", 0.25], ["of the", 12]])
    again.figures((figures.lines([1, 2], {"loss": [0.5, 0.25]}, "step", "loss"), "A line."))
    assert again.render() == page.render()


@pytest.mark.parametrize(("value", "shown"), [(0.12345, "0.123"), (-3.0, "-3.000"), (1234.5678, "1,234.6")])
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_a_folded_table_opens_when_asked(page):
    page.table(["a"], [[1]], "closed")
    page.table(["a"], [[1]], "open", opened=True)
    details = [attributes for tag, attributes in outline(page).seen if tag == "details"]
    assert details == [{}, {"open": None}]


def test_a_gap_is_not_drawn():
    figure = figures.lines([1, 2, 3], {"a": [1.0, float("nan"), 3.0]}, "x", "y")
    assert list(figure.data[0].x) == [1.0, 3.0]
    assert list(figure.data[0].y) == [1.0, 3.0]


def test_intervals_are_drawn_as_distances_from_the_value():
    figure = figures.with_intervals(["cell"], {"controller": [(0.5, 0.25, 0.875)]}, "share")
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
