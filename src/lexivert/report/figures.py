"""Figures of the page, as Plotly figures out of plain columns."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go  # type: ignore[import-untyped]

COLOURS = (
    "#0b6e6e", "#d1495b", "#edae49", "#3d5a98", "#8f5ea8", "#66a182", "#8d6e53", "#2e4057", "#c08497", "#7a7a7a",
    "#4f9dde", "#b5bd00",
)  # fmt: skip
ACCENT = COLOURS[0]
_BAND = 11  # pixels
_GROUP_NAME = 11  # characters a line
_FONT = {"family": 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif', "size": 13, "color": "#1b1f24"}
_MOST_CLASSES = len(COLOURS) - 1

Floats = Sequence[float] | npt.NDArray[np.floating]
Columns = Mapping[str, Sequence[float | str]]


@dataclass(frozen=True)
class Series:
    """An entry of a figure's legend, which the page draws: one that wraps, explains its terms and switches a series.

    Attributes:
        trace: its number in the figure.
        name: of the series.
        colour: as in CSS.
        style: of the line, as in CSS; ``solid`` also for bars and points.
        wide: drawn as a band below the others.
    """

    trace: int
    name: str
    colour: str
    style: str
    wide: bool


def legend(figure: go.Figure) -> list[Series]:
    """The named series of a figure, in order."""
    found = []
    for number, trace in enumerate(figure.data):
        if trace.name is not None:
            line = getattr(trace, "line", None)
            dotted = line is not None and line.dash == "dot"
            wide = line is not None and line.width == _BAND
            found.append(Series(number, trace.name, trace.meta, "dotted" if dotted else "solid", wide))
    return found


def _layout(x: str, y: str) -> dict[str, object]:
    axis = {"gridcolor": "#e8ecf0", "zeroline": False, "automargin": True}
    return {
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y}},
        "font": _FONT,
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "showlegend": False,  # the page draws its own: see Series
        "hovermode": "closest",
        "template": "none",
    }


def lines(
    x: Floats,
    series: Mapping[str, Floats],
    x_label: str,
    y_label: str,
    *,
    dashed: Sequence[str] = (),
    banded: str = "",
) -> go.Figure:
    """One line a series; NaN leaves a gap.

    Lines that coincide hide each other. The one that matters is a wide band below the others, so that it is seen
    wherever they run; and at every x all values are told at once.

    Args:
        x: where the points are.
        series: name to values, as many as x.
        x_label: of the axis.
        y_label: of the axis.
        dashed: series that are limits or references.
        banded: the series that no other may hide; it comes first.
    """
    figure = go.Figure(layout=_layout(x_label, y_label) | {"hovermode": "x unified"})
    colours = _colours(series, banded)
    for name in sorted(series, key=lambda name: name != banded):
        colour = colours[name]
        line: dict[str, object] = {"color": colour, "width": 2}
        if name in dashed:
            line |= {"dash": "dot", "width": 1.5}
        elif name == banded:
            line |= {"width": _BAND}
        mode = "lines" if name in dashed or name == banded or len(x) > 40 else "lines+markers"
        kept = [(a, b) for a, b in zip(_floats(x), _floats(series[name]), strict=True) if not np.isnan(b)]
        figure.add_scatter(
            x=[a for a, _ in kept],
            y=[b for _, b in kept],
            name=name,
            mode=mode,
            line=line,
            opacity=0.4 if name == banded else 1.0,
            meta=colour,
        )
    return figure


def _colours(names: Iterable[str], accented: str) -> dict[str, str]:
    """A colour a series; the accent is kept for one, where there is such."""
    others = COLOURS[1:] if accented else COLOURS
    found = dict(zip((name for name in names if name != accented), itertools.cycle(others)))
    return found | {accented: ACCENT}


def bars(groups: Sequence[str], series: Mapping[str, Floats], y_label: str) -> go.Figure:
    """Bars side by side: one cluster a group, whose name is wrapped to fit a narrow screen, one bar a series."""
    groups = ["<br>".join(textwrap.wrap(group, _GROUP_NAME)) for group in groups]
    figure = go.Figure(layout=_layout("", y_label) | {"barmode": "group", "hovermode": "x unified"})
    figure.update_xaxes(tickangle=0, tickfont={"size": 11})
    for (name, values), colour in zip(series.items(), COLOURS, strict=False):
        figure.add_bar(x=list(groups), y=_floats(values), name=name, marker={"color": colour}, meta=colour)
    return figure


def with_intervals(
    names: Sequence[str],
    series: Mapping[str, Sequence[tuple[float, float, float]]],
    y_label: str,
    *,
    accented: str = "",
) -> go.Figure:
    """Shares as points with 95 % intervals, side by side: value, low and high of each name in each series.

    Args:
        names: of the groups.
        series: name to values, as many as groups.
        y_label: of the axis.
        accented: the series that has the accent colour.
    """
    grouped = {"scattermode": "group", "scattergap": 0.5, "hovermode": "x unified"}
    figure = go.Figure(layout=_layout("", y_label) | grouped)
    figure.update_yaxes(range=[-0.04, 1.04])
    colours = _colours(series, accented)
    for series_name, values in series.items():
        colour = colours[series_name]
        figure.add_scatter(
            x=list(names),
            y=[value for value, _, _ in values],
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high - value for value, _, high in values],
                "arrayminus": [value - low for value, low, _ in values],
                "thickness": 1,
            },
            mode="markers",
            marker={"size": 9, "color": colour},
            name=series_name,
            offsetgroup=series_name,
            meta=colour,
        )
    return figure


def scatter(places: npt.NDArray[np.floating], labels: Sequence[str], classes: Sequence[str]) -> go.Figure:
    """Points on a map, one colour a class; the classes with fewest points are drawn as "other".

    Shape: places (B, 2).
    """
    names, counts = np.unique(np.asarray(classes, dtype=object).astype(str), return_counts=True)
    order = [str(name) for name in names[np.argsort(-counts, kind="stable")]]
    shown = [name for name in order if name != "other"][:_MOST_CLASSES]
    figure = go.Figure(layout=_layout("", ""))
    for name, colour in zip([*shown, "other"], [*COLOURS[: len(shown)], "#c9ced4"], strict=True):
        inside = [row for row, own in enumerate(classes) if (own if own in shown else "other") == name]
        if inside:
            figure.add_scatter(
                x=_floats(places[inside, 0]),
                y=_floats(places[inside, 1]),
                text=[labels[row] for row in inside],
                hovertemplate="%{text}<extra>" + name + "</extra>",
                mode="markers",
                marker={"size": 5, "opacity": 0.75, "color": colour},
                name=name,
                meta=colour,
            )
    figure.update_xaxes(showticklabels=False)
    figure.update_yaxes(showticklabels=False)
    return figure


def heat_map(values: npt.NDArray[np.floating], labels: Sequence[str]) -> go.Figure:
    """Cosines of everything with everything. Shape: (B, B)."""
    figure = go.Figure(layout=_layout("", ""))
    figure.add_heatmap(
        z=[_floats(row) for row in values],
        x=list(labels),
        y=list(labels),
        colorscale=[[0.0, "#3d5a98"], [0.5, "#ffffff"], [1.0, "#d1495b"]],
        zmin=-1,
        zmax=1,
        hovertemplate="%{x} · %{y}: %{z:.2f}<extra></extra>",
        colorbar={"thickness": 10},
    )
    figure.update_yaxes(autorange="reversed", tickfont={"size": 10})
    figure.update_xaxes(tickfont={"size": 10}, tickangle=-60)
    return figure


def _floats(values: Floats) -> list[float]:
    """Plain numbers of five significant digits: the page is read, not computed with."""
    return [float(f"{float(value):.5g}") for value in values]
