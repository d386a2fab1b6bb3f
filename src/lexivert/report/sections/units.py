"""The space of units: neighbours, related pairs, statistics, senses; and maps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go  # type: ignore[import-untyped]

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.token_head import TokenHead, head_codes
from lexivert.config import Params
from lexivert.data.wordnet import read_synsets
from lexivert.model import Lexivert
from lexivert.report import figures, maps
from lexivert.report.page import Figures, Heading, Paragraph, Part, Section, Table, cell
from lexivert.report.tables import layout, read_metrics, read_table, readable

SPACES = {
    "raw_features": "backbone features",
    "features": "centred features",
    "head_codes": "head codes",
    "unit_codes": "unit codes",
}
_STATISTICS = (
    *("anisotropy", "effective_rank", "isotropy", "uniformity", "mean_rms"),
    *("deviation_mean", "deviation_min", "deviation_max"),
)
_SHOWN_NEIGHBOURS = 5
_UNFOLDED_UNITS = 3

Report = Mapping[str, Any]


def units(paths: Paths) -> Section:
    """Tables and figures of the stage ``token_space``."""
    report = read_metrics(paths, "token_space")
    text = (
        f"{report['words']} words and {report['phrases']} phrases that the token head was not trained on. Unit "
        "codes are what vectors are made of: by design mostly a random part fixed by the spelling, so that no two "
        "units are near each other; head codes are the learned part."
    )
    parts = [
        *_neighbours(report),
        *_pairs(report, paths),
        *_examples(paths),
        *_statistics(report),
        *_senses(report["homographs"]),
    ]
    return Section("units", "The space of units", text, parts)


def _by_space(report: Report, *keys: str) -> dict[str, Any]:
    """A section of every space, under its label."""
    found = {}
    for name, label in SPACES.items():
        if name in report:
            section = report[name]
            for key in keys:
                section = section.get(key, {})
            found[label] = section
    return found


def _neighbours(report: Report) -> list[Part]:
    parts: list[Part] = []
    for kind in ("words", "phrases"):
        rows = _by_space(report, f"neighbours_of_{kind}")
        if all(rows.values()):
            first = next(iter(rows.values()))
            tags = dict.fromkeys(("purity", "purity_by_maps", *first))
            labels = {tag: readable(tag) for tag in tags if tag != "most_purity_by_maps"}
            most = cell(float(first["most_purity_by_maps"]))
            parts += [
                Heading(f"What the nearest neighbours of {kind} are"),
                Table(layout(rows, labels, "space")),
                Paragraph(f"The maps relate so few units to each other that purity by maps can't exceed {most}."),
            ]
    return parts


def _pairs(report: Report, paths: Paths) -> list[Part]:
    rows = {
        label: {kind: section["mean"] for kind, section in pairs.items()}
        for label, pairs in _by_space(report, "pairs").items()
    }
    kinds = {kind: kind for kind in next(iter(rows.values()))}
    histograms = read_table(paths, "pair_cosines", "space", "relation")
    drawn = [
        (_histogram(histograms.query("space == @name")), f"Cosines in {label}.")
        for name, label in SPACES.items()
        if name in report
    ]
    return [
        Heading("Cosines of related pairs", "Means over pairs whose first unit is held out."),
        Table(layout(rows, kinds, "space")),
        Figures(drawn),
    ]


def _histogram(table: pd.DataFrame) -> go.Figure:
    shares = table.pivot_table(index="cosine", columns="relation", values="share", fill_value=0.0, sort=False)
    shares = shares.sort_index()
    series = {str(name): shares[name].tolist() for name in shares.columns}
    return figures.lines(shares.index.tolist(), series, "cosine", "share of pairs")


def _examples(paths: Paths) -> list[Part]:
    near = read_table(paths, "neighbours", "space", "unit", "neighbour", "tag")
    near = near[near["rank"] <= _SHOWN_NEIGHBOURS]
    told = near["neighbour"] + near["cosine"].map(" ({:.2f}, ".format) + near["tag"] + ")"
    lines = told.groupby([near["unit"], near["space"]], sort=False).agg(", ".join)
    table = lines.reset_index(name="nearest, with cosine and tag").set_index("unit")
    table["space"] = table["space"].map(SPACES)
    units = sorted(table.index.unique())
    few, rest = units[:_UNFOLDED_UNITS], units[_UNFOLDED_UNITS:]
    parts: list[Part] = [
        Heading("Neighbours of some held-out words and phrases"),
        Table(table.loc[few], terms=("space",)),
    ]
    if rest:
        parts.append(Table(table.loc[rest], f"{len(rest)} more words and phrases", terms=("space",)))
    return parts


def _statistics(report: Report) -> list[Part]:
    margins = {
        label: {
            "margin_median": space.get("margin_of_words", {}).get("p50", 0.0),
            "margin_mean": space.get("margin_of_words", {}).get("mean", 0.0),
            "alignment": space.get("alignment_of_synonyms", 0.0),
            "own": space["phrases"].get("own_words_cosine", 0.0),
            "other": space["phrases"].get("other_words_cosine", 0.0),
        }
        for label, space in _by_space(report).items()
    }
    names = {
        "margin_median": "margin, median",
        "margin_mean": "margin, mean",
        "alignment": "alignment of synonyms",
        "own": "phrase · its words",
        "other": "phrase · others' words",
    }
    statistics = {name: readable(name) for name in _STATISTICS}
    return [
        Heading("Statistics", "anisotropy: mean cosine of two units; deviations: 1 is a uniform spread."),
        Table(layout(_by_space(report, "statistics"), statistics, "space")),
        Heading("Margins and phrases", "Margin: one minus the cosine with the nearest other unit."),
        Table(layout(margins, names, "space")),
    ]


def _senses(report: Report) -> list[Part]:
    if not report["words"]:
        return []
    keys = {name: readable(name) for name in report if name != "words"}
    text = (
        f"{report['words']} words in WordNet's example sentences, by the backbone's contextual states. One code "
        "stands for all senses of a spelling."
    )
    return [Heading("Words of several senses", text), Table(layout({"mean": report}, keys, "over words"))]


def unit_maps(paths: Paths, model: Lexivert, params: Params) -> Section:
    """Units on a plane by their head codes, and cosines of common words."""
    lexicon = model.encoder.segmenter.lexicon
    classes = maps.categories(read_synsets(paths.wordnet))
    drawn = maps.draw(lexicon, classes, params.report.map_units, params.seed)
    features = artifacts.read_array(paths.unit_features, mmap=True)
    head = TokenHead.load(paths.token_head)
    codes = head_codes(head, features[drawn.units])
    principal, share = maps.principal(codes)
    near = maps.neighbourhoods(codes, params.report.perplexity, params.seed)
    labels = maps.surfaces(lexicon, drawn.units.tolist())
    flat = f"PCA, {share:.0%} of the variance"
    parts: list[Part] = [
        Figures(
            [
                (figures.scatter(principal, labels, drawn.kinds), f"{flat}, by kind of unit."),
                (figures.scatter(principal, labels, drawn.categories), f"{flat}, by lexicographer class."),
                (figures.scatter(near, labels, drawn.kinds), "t-SNE, by kind of unit."),
                (figures.scatter(near, labels, drawn.categories), "t-SNE, by lexicographer class."),
            ]
        )
    ]
    if words := maps.heat_words(lexicon, classes):
        own = maps.surfaces(lexicon, words)
        centred = features[words].astype(np.float32) - head.centre.numpy()
        text = f"Cosines, class by class: {', '.join(maps.HEAT_CATEGORIES)}."
        parts += [
            Heading("Similarity of common words", text),
            Figures(
                [
                    (figures.heat_map(maps.cosines(centred), own), "Backbone features, their mean taken off."),
                    (figures.heat_map(maps.cosines(head_codes(head, features[words])), own), "Head codes."),
                ]
            ),
        ]
    text = (
        f"{len(drawn.units)} units by their head codes, the learned part. PCA keeps distances as far as two "
        "directions can; t-SNE keeps neighbours and nothing else: gaps and sizes on it mean nothing. Classes are "
        "WordNet's lexicographer files."
    )
    return Section("maps", "Maps of units", text, parts)
