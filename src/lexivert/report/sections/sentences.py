"""The space of sentences: retrieval, classes by neighbours, awareness of order, part by part of the vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lexivert.artifacts import Paths
from lexivert.report import figures
from lexivert.report.page import Figures, Heading, Part, Section, Table
from lexivert.report.tables import layout, read_metrics, read_table, readable

PARTS = {"backbone": "backbone", "prefix": "semantic prefix", "order": "order part", "full": "full vector"}
_ACCURACY = {"accuracy": "accuracy", "low": "low", "high": "high", "guess": "most frequent, or chance"}


def sentences(paths: Paths) -> Section:
    """Tables and figures of the stage ``sentence_space``."""
    report = read_metrics(paths, "sentence_space")
    found = report["definitions"]
    text = (
        f"Retrieval: {found['queries']} example sentences look for the definition of their own synset among "
        f"{found['definitions']}, none of which is in the training split."
    )
    parts = [*_retrieval(found), *_classes(report["knn"]), *_order_awareness(paths)]
    return Section("sentences", "The space of sentences", text, parts)


def _retrieval(report: Mapping[str, Any]) -> list[Part]:
    rows = {label: report[name] for name, label in PARTS.items() if report.get(name)}
    if not rows:
        return []
    keys = {key: readable(key) for key in next(iter(rows.values()))}
    return [Table(layout(rows, keys, "space"))]


def _classes(report: Mapping[str, Any]) -> list[Part]:
    rows = {
        f"{readable(task)}, {label}": {**found[name], "guess": found.get("most_frequent", found.get("chance", 0.0))}
        for task, found in report.items()
        for name, label in PARTS.items()
        if name in found
    }
    return [
        Heading("Classes by the ten nearest neighbours", "Books, and definitions, that are held out."),
        Table(layout(rows, _ACCURACY, "task, space")),
    ]


def _order_awareness(paths: Paths) -> list[Part]:
    table = read_table(paths, "order_awareness", "change", "space")
    parts: list[Part] = [
        Heading(
            "Does the vector notice order?",
            "Cosine of a sentence with its changed version, and accuracy of a linear probe in telling which is which "
            "from one vector alone; chance is .5. Controlled sentences with swapped words have the same words on "
            "both sides. In natural sentences a swap is a fact about two neighbours, which no linear probe can see "
            "in a sum.",
        )
    ]
    for key, label in (("probe_accuracy", "Probe accuracy"), ("cosine", "Cosine")):
        values = table.pivot_table(index="change", columns="space", values=key, sort=False)
        series = {text: values[name].tolist() for name, text in PARTS.items() if name in values.columns}
        plot = figures.bars(list(map(readable, values.index)), series, label.lower())
        parts.append(Figures([(plot, f"{label}.")]))
    return parts
