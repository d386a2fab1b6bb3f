"""Figures of the page, as Plotly figures out of plain columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go  # type: ignore[import-untyped]

COLOURS = (
    "#0b6e6e", "#d1495b", "#edae49", "#3d5a98", "#8f5ea8", "#66a182", "#8d6e53", "#2e4057", "#c08497", "#7a7a7a",
    "#4f9dde", "#b5bd00",
)  # fmt: skip
_FONT = {"family": 'system-ui, -apple-system, "Segoe UI", Roboto, sans-serif', "size": 13, "color": "#1b1f24"}
_MOST_CLASSES = len(COLOURS) - 1

Floats = Sequence[float] | npt.NDArray[np.floating]
Columns = Mapping[str, Sequence[float | str]]


def _layout(x: str, y: str) -> dict[str, object]:
    axis = {"gridcolor": "#e8ecf0", "zeroline": False, "automargin": True}
    return {
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y}},
        "font": _FONT,
        "colorway": list(COLOURS),
        "plot_bgcolor": "white",
        "paper_bgcolor": "white",
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "template": "none",
    }


def lines(
    x: Floats, series: Mapping[str, Floats], x_label: str, y_label: str, *, dashed: Sequence[str] = ()
) -> go.Figure:
    """One line a series; NaN leaves a gap.

    Args:
        x: where the points are.
        series: name to values, as many as x.
        x_label: of the axis.
        y_label: of the axis.
        dashed: series that are limits or references.
    """
    figure = go.Figure(layout=_layout(x_label, y_label))
    for name, values in series.items():
        line = {"dash": "dot", "width": 1.5} if name in dashed else {"width": 2.5}
        mode = "lines" if name in dashed or len(x) > 40 else "lines+markers"
        kept = [(a, b) for a, b in zip(_floats(x), _floats(values), strict=True) if not np.isnan(b)]
        figure.add_scatter(x=[a for a, _ in kept], y=[b for _, b in kept], name=name, mode=mode, line=line)
    return figure


def bars(groups: Sequence[str], series: Mapping[str, Floats], y_label: str) -> go.Figure:
    """Bars side by side: one cluster a group, one bar a series."""
    figure = go.Figure(layout=_layout("", y_label) | {"barmode": "group"})
    for name, values in series.items():
        figure.add_bar(x=list(groups), y=_floats(values), name=name)
    return figure


def with_intervals(
    names: Sequence[str], series: Mapping[str, Sequence[tuple[float, float, float]]], y_label: str
) -> go.Figure:
    """Points with 95 % intervals: value, low and high of each name in each series."""
    figure = go.Figure(layout=_layout("", y_label))
    for series_name, values in series.items():
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
            marker={"size": 9},
            name=series_name,
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
    for name in [*shown, "other"]:
        inside = [row for row, own in enumerate(classes) if (own if own in shown else "other") == name]
        if inside:
            colour = "#c9ced4" if name == "other" else None
            figure.add_scatter(
                x=_floats(places[inside, 0]),
                y=_floats(places[inside, 1]),
                text=[labels[row] for row in inside],
                hovertemplate="%{text}<extra>" + name + "</extra>",
                mode="markers",
                marker={"size": 5, "opacity": 0.75, "color": colour},
                name=name,
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
