"""HTML of the page: sections, tables, cards and figures, self-contained and readable on a phone."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

import plotly.graph_objects as go  # type: ignore[import-untyped]
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

_STYLE = """
:root { --ink: #1b1f24; --soft: #57606a; --line: #d8dee4; --accent: #0b6e6e; --back: #ffffff; --card: #f6f8fa; }
* { box-sizing: border-box; }
body { margin: 0; color: var(--ink); background: var(--back);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
header, main { max-width: 68rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; margin: 0 0 .25rem; letter-spacing: -.02em; }
h2 { font-size: 1.35rem; margin: 3rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 .4rem; }
p { max-width: 46rem; } .soft { color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: 1rem 0; font-size: .95rem; }
a { color: var(--accent); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem .9rem; }
.card b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; letter-spacing: -.02em; }
.card span { color: var(--soft); font-size: .85rem; line-height: 1.3; display: block; }
.table { overflow-x: auto; margin: .75rem 0 1rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; } th:first-child, td:first-child, td.text { text-align: left; }
td.text { white-space: normal; min-width: 14rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: 0; min-width: 0; } figcaption { color: var(--soft); font-size: .9rem; }
.plot { width: 100%; height: 24rem; }
details { margin: .5rem 0; } summary { cursor: pointer; }
footer { max-width: 68rem; margin: 3rem auto 2rem; padding: 0 1.25rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 40rem) { h1 { font-size: 1.6rem; } .plot { height: 20rem; } th, td { padding: .25rem .45rem; } }
"""
_SHOW = "{displayModeBar: false, responsive: true}"

Cell = str | float | int


@dataclass
class Page:
    """Collects a page's parts in order.

    Attributes:
        title: of the page.
        lead: one sentence below it.
    """

    title: str
    lead: str
    _parts: list[str] = field(default_factory=list)
    _sections: list[tuple[str, str]] = field(default_factory=list)
    _scripts: list[str] = field(default_factory=list)

    def section(self, anchor: str, title: str, *paragraphs: str) -> None:
        """Begin a section; paragraphs are plain text."""
        self._sections.append((anchor, title))
        self._parts.append(f'<h2 id="{anchor}">{html.escape(title)}</h2>')
        self.text(*paragraphs)

    def heading(self, title: str, *paragraphs: str) -> None:
        """Begin a part of a section."""
        self._parts.append(f"<h3>{html.escape(title)}</h3>")
        self.text(*paragraphs)

    def text(self, *paragraphs: str) -> None:
        """Add paragraphs of plain text."""
        self._parts += [f"<p>{html.escape(paragraph)}</p>" for paragraph in paragraphs]

    def cards(self, figures: Sequence[tuple[str, str]]) -> None:
        """Add large figures, each with what it is."""
        cells = [f'<div class="card"><b>{html.escape(b)}</b><span>{html.escape(a)}</span></div>' for a, b in figures]
        self._parts.append(f'<div class="cards">{"".join(cells)}</div>')

    def table(
        self, header: Sequence[str], rows: Sequence[Sequence[Cell]], summary: str = "", *, opened: bool = False
    ) -> None:
        """Add a table; strings are set left where they hold a space, numbers with three places.

        Args:
            header: column names.
            rows: cells.
            summary: if there is any, the table is folded away below it.
            opened: unfold it at first.
        """
        head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
        table = f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        if summary:
            table = f"<details{' open' if opened else ''}><summary>{html.escape(summary)}</summary>{table}</details>"
        self._parts.append(table)

    def figures(self, *figures: tuple[go.Figure, str]) -> None:
        """Add figures beside each other where there is room, each with its caption."""
        cells = []
        for figure, caption in figures:
            name = f"figure-{len(self._scripts) + 1}"
            content = figure.to_json(engine="json")
            drawn = f'const f = {_script(content)}; Plotly.newPlot("{name}", f.data, f.layout, {_SHOW});'
            self._scripts.append(f"{{ {drawn} }}")
            told = f"<figcaption>{html.escape(caption)}</figcaption>"
            cells.append(f'<figure><div class="plot" id="{name}"></div>{told}</figure>')
        self._parts.append(f'<div class="figures">{"".join(cells)}</div>')

    def render(self) -> str:
        """The whole page as HTML."""
        links = "".join(f'<a href="#{anchor}">{html.escape(title)}</a>' for anchor, title in self._sections)
        return "\n".join(
            [
                '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
                '<meta name="viewport" content="width=device-width, initial-scale=1">',
                '<link rel="icon" href="data:,">',
                f"<title>{html.escape(self.title)}</title>\n<style>{_STYLE}</style>",
                f"<script>{get_plotlyjs()}</script>\n</head>\n<body>",
                f'<header><h1>{html.escape(self.title)}</h1><p class="soft">{html.escape(self.lead)}</p>',
                f"<nav>{links}</nav></header>\n<main>",
                *self._parts,
                "</main>\n<footer>Made by the stage “report” from metrics/ and models/.</footer>",
                f"<script>{chr(10).join(self._scripts)}</script>\n</body>\n</html>\n",
            ]
        )


def _cell(value: Cell) -> str:
    if isinstance(value, str):
        kind = ' class="text"' if " " in value else ""
        return f"<td{kind}>{html.escape(value)}</td>"
    return f"<td>{value:,}</td>" if isinstance(value, int) else f"<td>{number(value)}</td>"


def number(value: float) -> str:
    """Three places below 10, one place above."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def _script(content: str) -> str:
    """JSON within a script element: no text in it may end the element."""
    return content.replace("</", "<\\/")
