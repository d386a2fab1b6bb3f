"""Reads what tests look at in README.md and docs/: fenced samples, links, headings."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")],
    key=lambda page: page.relative_to(REPOSITORY).as_posix(),
)
_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.M | re.S)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]+)\)|!\[[^\]\n]*\]\((?P<image>[^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of one language."""
    text = page.read_text(encoding="utf-8")
    return [match["body"] for match in _FENCE.finditer(text) if match["language"] == language]


def commands(page: Path) -> list[str]:
    """Shell commands of a page, continued lines joined."""
    return [
        line.strip()
        for block in blocks(page, "bash")
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]


def links(page: Path) -> list[str]:
    """Targets of a page's links and images within the repository."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [match["target"] or match["image"] for match in _LINK.finditer(text)]
    return [target for target in targets if "://" not in target and not target.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(text)}
