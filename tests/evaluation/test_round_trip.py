"""Round trips of a tiny trained model."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from lexivert.artifacts import Paths
from lexivert.config import Params
from lexivert.controller.observation import Observation
from lexivert.controller.registry import DECODERS
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.errors import LexivertError
from lexivert.evaluation import metrics
from lexivert.evaluation.round_trip import (
    DECODERS_TRIED,
    Readout,
    RoundTrip,
    exact_match_table,
    run_evaluation,
    trace_table,
)

TEXTS = (
    "The silent owl watched the mill.",
    "Emma asked a noble captain.",
    "It was a rose, and the owl saw it.",
    "Rose",
)


@pytest.fixture
def trip(tiny_model) -> RoundTrip:
    """Four texts; retrieval has three sentences to choose from."""
    encoder = tiny_model.encoder
    vectors = torch.from_numpy(tiny_model.encode(TEXTS))
    prefixes = F.normalize(torch.from_numpy(encoder.backbone.encode(TEXTS)), dim=-1)
    known = ["The owl watched a mill.", "A captain asked Emma.", "The sailor sold the piano."]
    train = torch.from_numpy(encoder.backbone.encode(known)) * torch.tensor([[0.1], [1.0], [9.0]])
    return RoundTrip(
        tiny_model,
        EncodedTexts(list(TEXTS), encoder.segment(TEXTS), prefixes),
        vectors,
        EncodedTexts(known, encoder.segment(known), train),
        {text: "novels" if place else "drama" for place, text in enumerate(TEXTS)},
    )


class TestDecoders:
    def test_the_cascade_is_what_users_call(self, trip):
        units = trip.decoders()["cascade"](trip.vectors)
        assert [trip.model.encoder.segmenter.join(ids) for ids in units] == trip.model.decode(trip.vectors.numpy())

    @pytest.mark.parametrize("name", ["one_shot", "cancellation", "cascade_unigram"])
    def test_the_others_are_the_registrys(self, trip, name):
        prefix, order = trip.vectors[:, :32], trip.vectors[:, 32:]
        expected = DECODERS.make(name)(trip.model.decoder.parts).decode(Observation.of(order, prefix)).units
        assert trip.decoders()[name](trip.vectors) == expected

    def test_retrieval_gives_the_nearest_training_sentence(self, trip):
        units = trip.decoders()["nearest_sentence"](trip.vectors)
        for row, found in enumerate(units):
            prefix = trip.vectors[row, :32]
            cosines = [float(F.cosine_similarity(prefix, other, dim=0)) for other in trip.train.prefixes]
            assert found == trip.train.units[int(np.argmax(cosines))]


class TestScore:
    @pytest.fixture
    def found(self, trip) -> Readout:
        """The first as it was; one unit too many; the first unit twice; nothing."""
        units = trip.heldout.units
        made = [units[0], [*units[1], units[1][0]], [units[2][0], *units[2]], []]
        return Readout(made, [trip.model.encoder.segmenter.join(ids) for ids in made], 1.0)

    def test_by_hand(self, trip, found):
        scores = trip.score(found)
        assert scores["exact_match"] == 1 / 4
        assert (scores["exact_match_low"], scores["exact_match_high"]) == metrics.wilson_interval(1, 4)
        sizes = [len(units) for units in trip.heldout.units]
        shifted = sum(a == b for a, b in zip(trip.heldout.units[2], found.units[2], strict=False))
        right, positions = sizes[0] + sizes[1] + shifted, sizes[0] + sizes[1] + 1 + sizes[2] + 1 + sizes[3]
        assert scores["unit_accuracy"] == pytest.approx(right / positions)
        assert scores["token_f1"] == pytest.approx(metrics.token_f1(TEXTS, found.texts))
        assert scores["rougeL"] == pytest.approx(metrics.rouge(TEXTS, found.texts)["rougeL"])

    def test_sources_are_scored_by_themselves(self, trip, found):
        """The first text is drama and right; the three others are novels and wrong."""
        assert trip.score(found)["source"] == {
            source: {"texts": n, "exact_match": share, "exact_match_low": low, "exact_match_high": high}
            for source, n, share, (low, high) in [
                ("drama", 1, 1.0, metrics.wilson_interval(1, 1)),
                ("novels", 3, 0.0, metrics.wilson_interval(0, 3)),
            ]
        }

    def test_cosines_are_those_of_all_rebuilt_texts_embedded(self, trip, found):
        rebuilt = torch.from_numpy(trip.model.encoder.backbone.encode(found.texts))
        expected = F.cosine_similarity(trip.heldout.prefixes, rebuilt, dim=1).mean().item()
        assert trip.score(found)["backbone_cosine"] == pytest.approx(expected, abs=1e-5)

    def test_buckets_are_scored_by_themselves(self, trip, found):
        scores = trip.score(found)
        assert set(scores) >= {"words_01_10"}
        assert not set(scores) & {"words_11_20", "words_21_40"}
        assert scores["words_01_10"]["texts"] == 4
        assert scores["words_01_10"]["unit_accuracy"] == pytest.approx(scores["unit_accuracy"])


def test_exact_match_by_length_by_hand():
    originals = ["a", "a b", "a b c d e", "a b c d e f", " ".join("abcdefghijklm")]
    found = {"one": ["a", "x", "a b c d e", "a b c d e f", "x"], "two": ["x"] * 5}
    table = exact_match_table(originals, found)
    assert list(table.columns) == ["words", "texts", "one", "two"]
    assert table.to_numpy().tolist() == [[5, 3, pytest.approx(2 / 3), 0], [10, 1, 1, 0], [15, 1, 0, 0]]


def test_the_trace_is_of_the_text_nearest_to_fifteen_words(trip):
    table = trace_table(trip)
    (reading,) = trip.model.read(trip.vectors[2:3].numpy(), trace=True)
    assert table["residual"].tolist() == [step.residual for step in reading.steps]
    assert table["step"].tolist() == list(range(1, len(reading.steps) + 1))
    assert set(reading.units) <= set(table["unit"])


class TestStage:
    def test_report_and_tables(self, tiny_project, tiny_params: Params, tmp_path):
        shutil.copytree(tiny_project, tmp_path / "project")
        paths = Paths(tmp_path / "project")
        run_evaluation(paths, tiny_params)
        report = json.loads(paths.metrics("evaluate").read_text(encoding="utf-8"))
        assert report["texts"] > 0
        assert report["semantic_prefix_cosine"] == pytest.approx(1.0, abs=1e-6)
        matches = pd.read_csv(paths.plots / "exact_match.csv")
        assert matches["texts"].sum() == report["texts"]
        for condition in ("clean", "noisy"):
            assert set(report[condition]) == set(DECODERS_TRIED)
            for name, row in report[condition].items():
                right = round(row["exact_match"] * report["texts"])
                assert row["exact_match"] == pytest.approx(right / report["texts"], abs=1e-5)
                interval = metrics.wilson_interval(right, report["texts"])
                assert (row["exact_match_low"], row["exact_match_high"]) == pytest.approx(interval, abs=1e-5)
                of_table = (matches["texts"] * matches[f"{name}_{condition}"]).sum()
                assert of_table == pytest.approx(right, abs=0.01)
        assert report["clean"]["cascade"]["exact_match"] > report["clean"]["nearest_sentence"]["exact_match"] == 0.0
        assert "smooth" in report["clean"]["cascade"]["bleu_signature"]
        bins = pd.read_csv(paths.plots / "reliability.csv")
        sent = report["confidence"]
        assert bins["readings"].sum() == pytest.approx(sent["texts"], abs=1e-3)  # weighted: a text counts as one
        assert sent["readings"] >= sent["texts"]
        right = (bins["readings"] * bins["observed"]).sum()
        assert right / sent["texts"] == pytest.approx(sent["exact_match"], abs=1e-3)
        distance = (bins["readings"] * (bins["observed"] - bins["confidence"]).abs()).sum()
        assert distance / sent["texts"] == pytest.approx(sent["expected_calibration_error"], abs=1e-3)
        steps = pd.read_csv(paths.plots / "trace.csv")
        assert steps["step"].tolist() == list(range(1, len(steps) + 1))
        assert steps["residual"].iloc[-1] < steps["residual"].iloc[0]

    def test_a_missing_corpus_is_named(self, tiny_project, tiny_params: Params, tmp_path):
        shutil.copytree(tiny_project, tmp_path / "project")
        Paths(tmp_path / "project").corpus.unlink()
        with pytest.raises(LexivertError, match="corpus"):
            run_evaluation(Paths(tmp_path / "project"), tiny_params)
