"""The page of the whole pipeline, in a real browser where there is one."""

from __future__ import annotations

import re

import pytest

from browser import BROWSER, opened
from lexivert.report.terms import TERMS, pieces

TABLES = """[...document.querySelectorAll(".table")].map(table => ({
  columns: [...table.querySelectorAll("th")].map(head => head.textContent),
  seen: table.clientWidth > 0, stacked: table.classList.contains("stacked"),
  wider: table.scrollWidth > table.clientWidth + 1,
  hint: getComputedStyle(table.previousElementSibling).display !== "none",
  empty: [...table.querySelectorAll("td")].filter(cell => cell.textContent && !cell.getClientRects().length).length,
}))"""
FRAMES = """[...document.querySelectorAll(".plot")].map(frame => [
  frame.clientWidth, frame.querySelector(".main-svg").getBoundingClientRect().width])"""


@pytest.fixture
def page(project):
    return project.root / "metrics" / "report.html"


def test_the_page_shows_every_part(page):
    text = page.read_text(encoding="utf-8")
    for anchor in ("reading", "rebuilds", "units", "maps", "sentences", "collapse", "training", "terms"):
        assert f'<h2 id="{anchor}">' in text
    without_scripts = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', without_scripts)


def test_every_label_is_a_term_with_a_line(page):
    text = re.sub(r"<script>.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    heads = re.findall(r"<th[^>]*>(.*?)</th>", text)
    assert len(heads) > 50
    assert [head for head in heads if "<a " not in head] == []
    legends = re.findall(r'data-trace="\d+" title="([^"]*)"><i [^>]*></i>(.*?)</button>', text)
    assert len(legends) > 20
    assert [name for title, name in legends if not title] == []
    linked = set(re.findall(r'<a class="term" href="#([^"]+)"', text))
    assert linked <= set(re.findall(r'<dt id="([^"]+)">', text))


def test_every_row_of_figures_is_explained(page):
    text = re.sub(r"<script>.*?</script>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    tables = re.findall(r'<div class="table" .*?</table>', text, flags=re.DOTALL)
    first = [re.sub("<[^>]+>", "", row) for table in tables for row in re.findall(r"<tr>\s*<td.*?</td>", table, re.S)]
    assert len(first) > 30
    unknown = {label.strip() for label in first if not all(piece.term in TERMS for piece in pieces(label.strip()))}
    assert unknown == set()


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 400])
def test_figures_and_tables_fit_the_screen_or_say_that_they_do_not(page, tmp_path, width):
    seen = opened(page, tmp_path, width, f"({{tables: {TABLES}, frames: {FRAMES}}})")
    assert seen.messages == []
    assert seen.scroll_width <= seen.width  # tables scroll within themselves, the page does not
    frames = seen.facts["frames"]
    assert len(frames) == page.read_text(encoding="utf-8").count('<div class="plot"') > 10
    assert all(abs(drawn - frame) <= 1 for frame, drawn in frames)
    tables = [table for table in seen.facts["tables"] if table["seen"]]
    assert all(table["hint"] == table["wider"] for table in tables)
    assert not any(table["wider"] for table in tables if table["stacked"] or width == 1280)
    assert not any(table["empty"] for table in tables)
    if width == 400:
        assert any(table["stacked"] for table in tables)
        assert any(table["hint"] for table in tables)
