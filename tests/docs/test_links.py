"""Links within README.md and docs/ lead somewhere, and the pages keep to their form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pages


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name_of)
def test_links_lead_somewhere(page: Path):
    for target in pages.links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target}: no such file"
        assert file.is_relative_to(pages.REPOSITORY), target
        if anchor:
            assert anchor in pages.anchors(file), f"{target}: no such heading"


def test_links_are_found():
    assert len(pages.links(pages.REPOSITORY / "README.md")) > 12


def test_every_page_is_reached_from_the_readme():
    seen, todo = set(), [pages.REPOSITORY / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        if page.suffix == ".md":
            todo += [(page.parent / link.partition("#")[0]).resolve() for link in pages.links(page) if link[0] != "#"]
    assert {page for page in pages.PAGES if page.is_relative_to(pages.REPOSITORY / "docs")} <= seen


def test_readme_is_short():
    assert len((pages.REPOSITORY / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name_of)
def test_lines_are_short(page: Path):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    long = [line for line in text.splitlines() if len(line) > 120]
    assert not [line for line in long if line[0] not in "|#!" and "<!--" not in line]
