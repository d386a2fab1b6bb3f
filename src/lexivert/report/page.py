"""The page of results: sections of tables, cards and Plotly figures, rendered by one Jinja2 template.

The page is one file that needs no network: plotly.js is inside.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
import plotly.io  # type: ignore[import-untyped]
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

if TYPE_CHECKING:
    import pandas as pd

_CONFIG = {"displayModeBar": False, "responsive": True}


@dataclass(frozen=True)
class Heading:
    """Begins a part of a section.

    Attributes:
        title: plain text, as everywhere here.
        text: a paragraph below it.
    """

    title: str
    text: str = ""
    kind: str = "heading"


@dataclass(frozen=True)
class Paragraph:
    """Plain text."""

    text: str
    kind: str = "paragraph"


@dataclass(frozen=True)
class Cards:
    """Large figures, each with what it is.

    Attributes:
        cards: what it is, and the figure.
    """

    cards: Sequence[tuple[str, float]]
    kind: str = "cards"


@dataclass(frozen=True)
class Table:
    """A table; its index is the first column.

    Attributes:
        frame: strings are set left, numbers right with three places.
        summary: if there is any, the table is folded away below it.
        opened: unfold it at first.
    """

    frame: pd.DataFrame
    summary: str = ""
    opened: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Figures:
    """Figures beside each other where there is room, each with its caption."""

    drawn: Sequence[tuple[go.Figure, str]]
    kind: str = "figures"


Part = Heading | Paragraph | Cards | Table | Figures


@dataclass(frozen=True)
class Section:
    """A linked part of the page.

    Attributes:
        anchor: of the link.
        title: of the section.
        text: a paragraph below it.
        parts: what it shows, in order.
    """

    anchor: str
    title: str
    text: str = ""
    parts: list[Part] = field(default_factory=list)


def render(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The page as HTML; the same content gives the same bytes.

    Args:
        title: of the page.
        lead: one paragraph below it.
        sections: in order.
    """
    environment = Environment(
        loader=PackageLoader("lexivert.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    numbers = itertools.count(1)
    environment.filters |= {"cell": cell, "draw": lambda figure: _drawn(figure, f"figure-{next(numbers)}")}
    template = environment.get_template("report.html.j2")
    return template.render(title=title, lead=lead, sections=sections, plotly=Markup(get_plotlyjs()))  # noqa: S704 code


def _drawn(figure: go.Figure, name: str) -> Markup:
    """A figure's element and script; Plotly escapes what could end the script."""
    html = plotly.io.to_html(figure, config=_CONFIG, include_plotlyjs=False, full_html=False, div_id=name)
    return Markup(html)  # noqa: S704 see above


def cell(value: Any) -> str:
    """A figure as people read it: integers in full, three places below 10, one above; strings as they are."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
    return f"{value:,}"
