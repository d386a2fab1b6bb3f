"""Texts read back: by which decoder, at which length, under which corruption, with what confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lexivert.artifacts import Paths
from lexivert.evaluation.decoders import label_of
from lexivert.evaluation.robustness import ALL_DECODERS, LIMITS, condition_label
from lexivert.evaluation.round_trip import DECODERS_TRIED
from lexivert.report import figures
from lexivert.report.page import Cards, Figures, Heading, Part, Section, Table
from lexivert.report.tables import columns, layout, read_metrics, read_table

if TYPE_CHECKING:
    import pandas as pd

_KINDS = ("clean", "noisy")
SCORES = {
    "exact_match": "exact",
    "exact_match_low": "low",
    "exact_match_high": "high",
    "unit_accuracy": "units",
    "bleu": "BLEU",
    "token_f1": "token F1",
    "backbone_cosine": "embedding cosine",
}
"""Keys of a readout's figures, and their labels."""
_SHARE = "share read back exactly"
_CONTROLLER = label_of("cascade")


def summary(paths: Paths) -> Section:
    """The figures that matter most."""
    report, space = read_metrics(paths, "evaluate"), read_metrics(paths, "sentence_space")
    cards = [
        ("texts of 1–40 words read back exactly, clean", report["clean"]["cascade"]["exact_match"]),
        ("texts of 1–40 words read back exactly, noisy", report["noisy"]["cascade"]["exact_match"]),
        ("confidence, expected calibration error", report["confidence"]["expected_calibration_error"]),
        ("confidence, AUROC", report["confidence"]["auroc"]),
    ]
    swapped = space["order_awareness"].get("subject_and_object_swapped", {})
    if "order" in swapped:
        for name, label in (("order", "order part"), ("backbone", "backbone")):
            cards.append((f"subject and object swapped, probe accuracy, {label}", swapped[name]["probe_accuracy"]))
    return Section("summary", "", parts=[Cards([(label, float(value)) for label, value in cards])])


def reading(paths: Paths) -> Section:
    """Tables and figures of the stages ``evaluate`` and ``robustness``."""
    report = read_metrics(paths, "evaluate")
    parts = [
        *_decoders(report, paths),
        *_robustness(paths),
        *_confidence(report["confidence"], paths),
    ]
    text = (
        "Held-out texts become vectors and are read back by several decoders. “Exact” counts texts that are the same "
        "to the last character; “units” counts positions with the right word or phrase. The wide band in a figure is "
        "the controller."
    )
    return Section("reading", "Reading texts back", text, parts)


def _decoders(report: Mapping[str, Any], paths: Paths) -> list[Part]:
    own = sorted(set(report[_KINDS[0]]) - set(DECODERS_TRIED))  # the model's own algorithm, where it is another
    names = (*DECODERS_TRIED, *own)
    rows = {f"{label_of(name)}, {kind}": report[kind][name] for kind in _KINDS for name in names}
    lengths = read_table(paths, "exact_match")
    words = lengths["words"].tolist()
    drawn = []
    for kind in _KINDS:
        labels = {f"{name}_{kind}": label_of(name) for name in names}
        series = columns(lengths, labels)
        plot = figures.lines(words, series, "words in the text", _SHARE, banded=_CONTROLLER)
        drawn.append((plot, f"Exact match by length, {kind} vectors."))
    return [Table(layout(rows, SCORES, "decoder, vector")), Table(_by_source(report, names)), Figures(drawn)]


def _by_source(report: Mapping[str, Any], names: Sequence[str]) -> pd.DataFrame:
    """Exact match by where the texts come from."""
    rows = {
        f"{label_of(name)}, {kind}": {
            source: scores["exact_match"] for source, scores in report[kind][name]["source"].items()
        }
        for kind in _KINDS
        for name in names
    }
    sources = {source: source for source in next(iter(rows.values()))}
    return layout(rows, sources, "exact match by source")


def _robustness(paths: Paths) -> list[Part]:
    conditions = read_metrics(paths, "robustness")
    intervals = {
        label_of(decoder): [
            tuple(by_decoder[decoder][f"exact_match{end}"] for end in ("", "_low", "_high"))
            for by_decoder in conditions.values()
        ]
        for decoder in ALL_DECODERS
        if all("exact_match" in by_decoder.get(decoder, {}) for by_decoder in conditions.values())
    }
    plot = figures.with_intervals(list(map(condition_label, conditions)), intervals, _SHARE, accented=_CONTROLLER)
    by_width = read_table(paths, "robustness")
    labels = {name: label_of(name) for name in ALL_DECODERS} | LIMITS
    limits = figures.lines(
        by_width["dimensions_a_unit"].tolist(),
        columns(by_width, labels),
        "order dimensions a unit",
        _SHARE,
        dashed=list(LIMITS.values()),
        banded=_CONTROLLER,
    )
    return [
        Heading(
            "Robustness",
            "Width: dimensions of the order part; cosine: of the noisy vector with the clean one; length: units of "
            "the text; stored as: the number format. Points with 95 % intervals. Where a release is judged, "
            "the cascade reads more texts than the decoders beside it, which read the first of them.",
        ),
        Figures(
            [
                (plot, "Exact match by condition."),
                (limits, "Noiseless texts by their dimensions a unit; limits are theory, not measured."),
            ]
        ),
    ]


def _confidence(report: Mapping[str, Any], paths: Paths) -> list[Part]:
    bins = read_table(paths, "reliability")
    plot = figures.lines(
        bins["confidence"].tolist(),
        columns(bins, {"observed": "observed", "perfect": "perfect"}),
        "mean confidence",
        "share that is right",
        dashed=["perfect"],
    )
    text = "Of the texts given a confidence, the share that is right; on the dotted line the two agree."
    caption = f"{report['readings']} readings of {report['texts']} texts, over a mix of noise levels."
    return [Heading("Confidence", text), Figures([(plot, caption)])]
