"""Collapse of what predicts vectors, and the curves of what was trained."""

from __future__ import annotations

from lexivert.artifacts import Paths
from lexivert.report import figures
from lexivert.report.page import Figures, Heading, Section, Table, cell
from lexivert.report.sections.reading import SCORES
from lexivert.report.tables import columns, layout, read_metrics, read_table, readable

_PREDICTORS = {
    "reconstruction": "features from codes",
    "prefix": "Selector, prefix alone",
    "neighbours": "Selector, neighbours alone",
    "prefix_and_neighbours": "Selector, both",
}
_FIGURES = (
    *("cosine", "cosine_of_mean_vector", "cosine_centred", "anisotropy", "true_anisotropy"),
    *("raw_deviation_ratio", "normalised_deviation_ratio", "raw_mean_error"),
)
_LABELS = {name: readable(name) for name in _FIGURES} | {"cosine": "cosine with the truth"}
_GIVEN = ("encoder_raw", "encoder_normalised", "predicted_raw", "predicted_normalised", "mean_vector")
_SCORES = ("exact_match", "unit_accuracy", "token_f1")
_CURVES = (
    (
        "token_head",
        "epoch",
        ("contrastive", "contrastive_unmasked", "reconstruction", "anchor", "synonym"),
        "Token head; “unmasked” is the research script's contrastive loss: a unit is among its own negatives.",
    ),
    ("selector", "step", ("infonce", "length"), "Selector: bags of words first, then full contexts."),
)
_CURVE_LABELS = {"infonce": "InfoNCE", "length": "length loss"}


def collapse(paths: Paths) -> Section:
    """Tables of the stage ``collapse``."""
    report = read_metrics(paths, "collapse")
    rows = {label: report[name] for name, label in _PREDICTORS.items() if "cosine" in report.get(name, {})}
    reading = report["reading"]
    predicted, mean = (float(reading[f"cosine_of_{name}"]) for name in ("predicted_vectors", "mean_vector"))
    text = (
        f"Predicted: the codes that the Selector expects, superposed; their cosine with the true vectors is "
        f"{cell(predicted)}, the mean code's at every place {cell(mean)}. Length and EOS are given to both."
    )
    return Section(
        "collapse",
        "Collapse of predictors",
        "A predictor that has collapsed gives the mean vector whatever it is asked: then its cosine is that of the "
        "mean vector, its anisotropy is 1 and its deviations are 0 of the true ones.",
        [
            Table(layout(rows, _LABELS, "predictor")),
            Heading("What is read from raw, normalised and predicted vectors", text),
            Table(layout({readable(g): reading[g] for g in _GIVEN}, {key: SCORES[key] for key in _SCORES}, "vector")),
        ],
    )


def training(paths: Paths) -> Section:
    """Curves of the stages that train."""
    drawn = []
    for name, x, series, caption in _CURVES:
        table = read_table(paths, name)
        shown = columns(table, {column: _CURVE_LABELS.get(column, readable(column)) for column in series})
        drawn.append((figures.lines(table[x].tolist(), shown, x, "mean loss"), caption))
    return Section("training", "Training curves", parts=[Figures(drawn)])
