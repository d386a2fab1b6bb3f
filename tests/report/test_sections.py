"""Sections of the page against the metrics that they are made of."""

from __future__ import annotations

import pandas as pd
import pytest

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.evaluation.robustness import ALL_DECODERS, FEW_DECODERS, LIMITS
from lexivert.evaluation.round_trip import DECODERS_TRIED
from lexivert.report.page import Figures, Heading, Table
from lexivert.report.sections.reading import reading, summary
from lexivert.report.sections.sentences import sentences
from lexivert.report.sections.training import collapse, training

SCORES = (
    "exact_match",
    "exact_match_low",
    "exact_match_high",
    "unit_accuracy",
    "bleu",
    "token_f1",
    "backbone_cosine",
)


def scores(first: float) -> dict[str, float]:
    return {name: first + place / 10 for place, name in enumerate(SCORES)}


@pytest.fixture
def paths(tmp_path) -> Paths:
    paths = Paths(tmp_path)
    kinds = ("clean", "noisy")
    report = {kind: {name: scores(place) for place, name in enumerate(DECODERS_TRIED)} for kind in kinds}
    for decoders in report.values():
        for place, found in enumerate(decoders.values()):
            found["source"] = {"drama": {"exact_match": place / 8}, "wikipedia": {"exact_match": place / 4}}
    report["confidence"] = {"texts": 5, "readings": 15, "expected_calibration_error": 0.02, "auroc": 0.9}
    artifacts.write_metrics(paths.metrics("evaluate"), report)
    names = ("width_192", "storage_int8")
    swept = {
        names[0]: {name: scores(0.5) for name in ALL_DECODERS},
        names[1]: {name: scores(0.25) for name in FEW_DECODERS},
    }
    artifacts.write_metrics(paths.metrics("robustness"), swept)
    columns = [f"{name}_{kind}" for kind in kinds for name in DECODERS_TRIED]
    artifacts.write_csv(
        paths.plots / "exact_match.csv", pd.DataFrame({"words": [5, 10], **{c: [1.0, 0.5] for c in columns}})
    )
    curves = {name: [0.5] for name in (*ALL_DECODERS, *LIMITS)}
    artifacts.write_csv(paths.plots / "robustness.csv", pd.DataFrame({"dimensions_a_unit": [7.0], **curves}))
    bins = pd.DataFrame({"confidence": [0.1], "observed": [0.2], "perfect": [0.1], "readings": [15]})
    artifacts.write_csv(paths.plots / "reliability.csv", bins)
    return paths


def of_kind(section, kind):
    return [part for part in section.parts if isinstance(part, kind)]


def test_decoders_stand_in_the_table_with_their_figures(paths):
    decoders, by_source = (part.frame for part in of_kind(reading(paths), Table))
    assert by_source.loc["cascade (the controller), noisy"].to_dict() == {"drama": 0.5, "wikipedia": 1.0}
    assert list(by_source.index) == list(decoders.index)
    assert len(decoders) == 2 * len(DECODERS_TRIED)
    assert decoders.loc["cascade (the controller), clean"].tolist() == pytest.approx(list(scores(4).values()))
    assert decoders.loc["cascade, unigram prior, noisy", "exact"] == 3.0


def test_what_the_cascade_reads_with_a_unigram_prior_is_not_called_amp(paths):
    names = [name for figure in of_kind(reading(paths), Figures) for plot, _ in figure.drawn for name in plot.data]
    labels = {trace.name for trace in names}
    assert "cascade, unigram prior" in labels
    decoders = of_kind(reading(paths), Table)[0].frame.index
    assert not any("AMP" in label for label in decoders)


def test_conditions_are_drawn_by_their_labels(paths):
    plots = [plot for figure in of_kind(reading(paths), Figures) for plot, _ in figure.drawn]
    (intervals,) = (plot for plot in plots if plot.data[0].error_y.array is not None)
    assert list(intervals.data[0].x) == ["stored as int8", "width 192"]  # metrics are sorted by key
    assert len(intervals.data) == len(FEW_DECODERS)  # those that every condition has
    assert list(intervals.data[0].y) == [0.25, 0.5]
    assert list(intervals.data[0].error_y.array) == pytest.approx([0.2, 0.2])


def test_the_summary_shows_the_cascade(paths):
    artifacts.write_metrics(
        paths.metrics("sentence_space"),
        {
            "order_awareness": {
                "subject_and_object_swapped": {"order": {"probe_accuracy": 0.9}, "backbone": {"probe_accuracy": 0.5}}
            }
        },
    )
    (cards,) = summary(paths).parts
    assert [value for _, value in cards.cards] == [4.0, 4.0, 0.02, 0.9, 0.9, 0.5]


def test_sentences_are_compared_part_by_part(paths):
    retrieval = {"mrr": 0.5, "map": 0.25}
    accuracy = {"accuracy": 0.5, "low": 0.4, "high": 0.6}
    report = {
        "definitions": {"queries": 3, "definitions": 9, "prefix": retrieval, "full": {}},
        "knn": {"author_of_sentence": {"chance": 0.2, "order": accuracy}, "category_of_definition": {"classes": 0}},
    }
    artifacts.write_metrics(paths.metrics("sentence_space"), report)
    rows = [("negation", "backbone", 0.9, 0.6), ("negation", "order", 0.5, 1.0), ("swap", "backbone", 1.0, 0.5)]
    table = pd.DataFrame(
        [*rows, ("swap", "order", 0.2, 0.75)], columns=["change", "space", "cosine", "probe_accuracy"]
    )
    artifacts.write_csv(paths.plots / "order_awareness.csv", table)
    section = sentences(paths)
    found, classes = (part.frame for part in of_kind(section, Table))
    assert found.to_dict("index") == {"semantic prefix": {"MRR": 0.5, "MAP": 0.25}}
    assert classes.loc["author of sentence, order part"].tolist() == [0.5, 0.4, 0.6, 0.2]
    probes, cosines = (figure.drawn[0][0] for figure in of_kind(section, Figures))
    assert {trace.name: list(trace.y) for trace in probes.data} == {"backbone": [0.6, 0.5], "order part": [1.0, 0.75]}
    assert {trace.name: list(trace.y) for trace in cosines.data} == {"backbone": [0.9, 1.0], "order part": [0.5, 0.2]}
    assert list(probes.data[0].x) == ["negation", "swap"]


def test_collapse_and_curves(paths):
    figures = dict.fromkeys(
        (
            *("cosine", "cosine_of_mean_vector", "cosine_centred", "anisotropy", "true_anisotropy"),
            *("raw_deviation_ratio", "normalised_deviation_ratio", "raw_mean_error"),
        ),
        0.5,
    )
    given = ("encoder_raw", "encoder_normalised", "predicted_raw", "predicted_normalised", "mean_vector")
    read = {"exact_match": 1.0, "unit_accuracy": 0.75, "token_f1": 0.5}
    reading_figures = dict.fromkeys(given, read)
    reading_figures |= {"cosine_of_predicted_vectors": 0.344, "cosine_of_mean_vector": 0.303}
    artifacts.write_metrics(
        paths.metrics("collapse"),
        {"reconstruction": {"units": 0}, "prefix": figures | {"anisotropy": 0.25}, "reading": reading_figures},
    )
    section = collapse(paths)
    predictors, vectors = (part.frame for part in of_kind(section, Table))
    assert predictors["anisotropy"].to_dict() == {"Selector, prefix alone": 0.25}
    assert vectors.loc["predicted raw"].tolist() == [1.0, 0.75, 0.5]
    (heading,) = of_kind(section, Heading)
    assert "is 0.344, the mean code's at every place 0.303" in heading.text

    artifacts.write_csv(paths.plots / "token_head.csv", pd.DataFrame({"epoch": [1], "contrastive": [2.0]}))
    artifacts.write_csv(paths.plots / "selector.csv", pd.DataFrame({"step": [10, 20], "infonce": [3.0, 2.0]}))
    (drawn,) = training(paths).parts
    assert [[(trace.name, list(trace.y)) for trace in plot.data] for plot, _ in drawn.drawn] == [
        [("contrastive", [2.0])],
        [("InfoNCE", [3.0, 2.0])],
    ]
