"""The page of results: sections of tables, cards and Plotly figures, rendered by one Jinja2 template.

The page is one file that needs no network: plotly.js is inside. Labels that are terms show their explanation, and
link to their line in the list of terms at the end. On a narrow screen a table of texts is stacked, a row a block; one
of numbers scrolls below its first column, and says so.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go  # type: ignore[import-untyped]
import plotly.io  # type: ignore[import-untyped]
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from lexivert.report import terms
from lexivert.report.figures import legend

if TYPE_CHECKING:
    import pandas as pd

_CONFIG = {"displayModeBar": False, "responsive": False}  # the page itself resizes figures with their frames
_LONG = 24  # characters, from which on a column has the width of a text


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
        terms: columns of strings whose values are terms; of a table of numbers, the index is one anyway.
    """

    frame: pd.DataFrame
    summary: str = ""
    opened: bool = False
    terms: Sequence[str] = ()
    kind: str = "table"

    @property
    def columns(self) -> list[Column]:
        """The index and all others, as they are set."""
        index = self.frame.index
        texts = [
            name for name in self.frame.columns if self.frame[name].map(lambda value: isinstance(value, str)).any()
        ]
        named = not texts and all(isinstance(value, str) for value in index)
        first = Column(str(index.name or ""), index.tolist(), text=True, terms=named)
        rest = [
            Column(str(name), self.frame[name].tolist(), text=name in texts, terms=name in self.terms)
            for name in self.frame.columns
        ]
        return [first, *rest]

    @property
    def stacked(self) -> bool:
        """Whether a narrow screen shows a row as a block: where texts stand beside each other."""
        return any(column.text for column in self.columns[1:])


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its head.
        values: a cell a row.
        text: set left.
        terms: its values are explained.
    """

    name: str
    values: Sequence[Any]
    text: bool
    terms: bool

    @property
    def long(self) -> bool:
        """Whether it holds texts that need room."""
        return self.text and max((len(value) for value in self.values if isinstance(value, str)), default=0) > _LONG


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
    environment.filters |= {
        "cell": cell,
        "draw": lambda figure: _drawn(figure, f"figure-{next(numbers)}"),
        "legend": legend,
        "pieces": terms.pieces,
        "explanation": terms.explanation,
    }
    template = environment.get_template("report.html.j2")
    listed = {terms.anchor(term): (term, text) for term, text in terms.used(labels(sections)).items()}
    plotly_script = Markup(get_plotlyjs())  # noqa: S704 code
    return template.render(title=title, lead=lead, sections=sections, terms=listed, plotly=plotly_script)


def labels(sections: Sequence[Section]) -> Iterator[str]:
    """Everything on a page that has to be explained: cards, heads and first columns of tables, legends, axes."""
    for part in itertools.chain.from_iterable(section.parts for section in sections):
        if isinstance(part, Cards):
            yield from (label for label, _ in part.cards)
        elif isinstance(part, Table):
            for column in part.columns:
                yield column.name
                yield from (str(value) for value in column.values if column.terms)
        elif isinstance(part, Figures):
            for figure, _ in part.drawn:
                yield from (series.name for series in legend(figure))
                yield from filter(None, (axis.title.text for axis in (figure.layout.xaxis, figure.layout.yaxis)))


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
