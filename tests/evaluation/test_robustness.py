from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from lexivert.artifacts import Paths
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.data.segments import read_encoded_texts
from lexivert.errors import LexivertError
from lexivert.evaluation.corruptions import send
from lexivert.evaluation.decoders import decoder_named
from lexivert.evaluation.metrics import wilson_interval
from lexivert.evaluation.robustness import (
    ALL_DECODERS,
    FEW_DECODERS,
    Condition,
    RobustnessSweep,
    by_dimensions,
    condition_label,
    conditions_of,
    run_robustness,
    scored,
)
from lexivert.evaluation.texts import draw_texts, with_texts
from lexivert.model import Lexivert
from sections import section

# --- conditions ---


@pytest.mark.parametrize(
    ("condition", "name", "label"),
    [
        (Condition(), "default", "default"),
        (Condition(width=192), "width_192", "width 192"),
        (Condition(cosine=0.7, length=(1, 40)), "cosine_0.7", "cosine 0.7"),
        (Condition(length=(120, 128)), "length_120", "length 120"),
        (Condition(storage="int8"), "storage_int8", "stored as int8"),
        (
            Condition(192, 0.75, (4, 8), "sign", 10_000),
            "width_192-cosine_0.75-length_4-storage_sign-lexicon_10000",
            "width 192, cosine 0.75, length 4, stored as sign, lexicon 10000",
        ),
    ],
)
def test_a_condition_is_named_by_what_is_special_about_it(condition, name, label):
    assert condition.name == name
    assert condition_label(name) == label


def test_short_texts_are_found_and_long_ones_chained():
    texts = EncodedTexts([], [[1] * 30, [2], [3] * 15], F.normalize(torch.eye(3), dim=1))
    assert Condition(length=(1, 20)).texts(texts, 5, below=3).units == [[2]]
    assert Condition(length=(41, 60)).texts(texts, 5, below=9).units == [[1] * 30 + [2] + [3] * 15]


def test_the_sweep_makes_one_thing_hard_at_a_time():
    params = section("robustness", widths=[192], cosines=[0.7, 0.6], lengths=[120], storages=["sign"], decisive=[])
    assert conditions_of(params) == [
        Condition(width=192),
        Condition(cosine=0.7, length=(1, 40), decoders=FEW_DECODERS),
        Condition(cosine=0.6, length=(1, 40), decoders=FEW_DECODERS),
        Condition(length=(120, 128), decoders=FEW_DECODERS),
        Condition(storage="sign", decoders=FEW_DECODERS),
    ]


def test_a_decisive_condition_that_is_none_is_named():
    params = section("robustness", widths=[192], cosines=[], lengths=[], storages=[], decisive=["width_200"])
    message = "robustness.decisive: 'width_200' is none of width_192$"
    with pytest.raises(LexivertError, match=message):
        conditions_of(params)


# --- tables ---


def test_scores_by_hand():
    """One of three texts exactly, and 2 + 1 + 0 of 2 + 3 + 1 positions."""
    row = scored([[1, 2], [3, 4], [5]], [[1, 2], [3, 5, 6], [6]])
    low, high = wilson_interval(1, 3)
    assert row == pytest.approx(
        {
            "texts": 3,
            "exact_match": 1 / 3,
            "exact_match_low": low,
            "exact_match_high": high,
            "unit_accuracy": 3 / 6,
        }
    )


def test_exact_match_by_dimensions_by_hand():
    """5 nats and 400 units: limits at 2 ln 400 = 11.98, 10 and 5 dimensions a unit."""
    matches = [
        *(("b", 8.0, False), ("b", 9.9, False), ("b", 10.0, False), ("b", 3.9, True)),
        *(("a", 8.0, True), ("a", 9.9, False), ("a", 10.0, True), ("a", 3.9, False)),
        *(("a", 128.0, True), ("b", 1.9, True)),  # beyond what is shown
    ]
    table = by_dimensions(matches, nats=5.0, units=400)
    assert list(table.columns) == ["dimensions_a_unit", "b", "a", "limit_flat", "limit_prior", "limit_soft"]
    assert table.to_numpy().tolist() == [
        [3.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [9.0, 0.0, 0.5, 0.0, 0.0, 1.0],
        [11.0, 0.0, 1.0, 0.0, 1.0, 1.0],
    ]


def test_no_matches_make_an_empty_table():
    assert by_dimensions([], nats=5.0, units=400).empty


# --- a sweep ---


@pytest.fixture
def sweep(parts, config) -> RobustnessSweep:
    return RobustnessSweep(parts, config)


def test_an_easy_condition_is_read_by_every_soft_decoder_and_noted(sweep, parts, drawn):
    texts = drawn([3, 5, 6, 9])
    report = sweep.run(Condition(length=(3, 6)), texts, 3)
    assert list(report) == list(ALL_DECODERS)
    for name in ("amp_flat", "amp_unigram", "amp_selector", "easy_first", "cascade"):
        assert report[name] == scored(texts.units[:3], texts.units[:3])
    assert len(sweep.matches) == 3 * len(ALL_DECODERS)
    assert sweep.matches[-1] == ("cascade", parts.codebook.width / 7, True)


def test_figures_are_those_of_each_decoder_on_what_was_sent(sweep, parts, config, drawn):
    """Noise at which decoders differ; every figure is that of the decoder run by itself."""
    texts = drawn([8] * 40)
    report = sweep.run(Condition(cosine=0.75, length=(8, 8), decoders=FEW_DECODERS), texts, 40)
    sent = send(texts.units, texts.prefixes, parts.codebook, 0.75, "float32", config.seed)
    expected = {name: scored(texts.units, decoder_named(name, parts)(*sent)) for name in FEW_DECODERS}
    assert report == expected
    assert report["one_shot"]["unit_accuracy"] < report["cascade"]["unit_accuracy"]


def test_conditions_at_another_width_lexicon_or_storage(sweep, drawn):
    decoders = ("cascade",)
    texts = drawn([3, 4, 6])
    known = replace(texts, units=[[unit % 199 + 1 for unit in text] for text in texts.units])
    for condition in (
        Condition(width=128, length=(3, 6), decoders=decoders),
        Condition(units=200, length=(3, 6), decoders=decoders),
        Condition(width=192, units=400, length=(3, 6), decoders=decoders),
        Condition(storage="sign", length=(3, 3), decoders=decoders),
        Condition(cosine=0.8, length=(3, 3), decoders=decoders),
    ):
        assert sweep.run(condition, known, 3)["cascade"]["exact_match"] == 1.0
    assert sweep.matches == []  # only what every decoder has tried can be compared
    sweep.run(Condition(width=128, length=(3, 6)), texts, 3)
    assert [dimensions for _, dimensions, _ in sweep.matches] == [128 / 4, 128 / 5, 128 / 7] * len(ALL_DECODERS)


def test_a_condition_without_texts_says_so_and_stops_nothing(sweep, drawn):
    report = sweep.run(Condition(length=(30, 32)), drawn([3]), 3)
    assert list(report.values()) == [{"texts": 0}] * len(ALL_DECODERS)


def test_a_line_by_dimensions_has_every_decoder(sweep, parts, drawn):
    sweep.run(Condition(length=(3, 6)), drawn([3, 5]), 2)
    limits = ["limit_flat", "limit_prior", "limit_soft"]
    assert list(by_dimensions(sweep.matches, 5.0, len(parts.codebook)).columns) == [
        "dimensions_a_unit",
        *ALL_DECODERS,
        *limits,
    ]


# --- the stage ---


def test_the_stage_measures_every_condition_on_the_texts_of_its_length(tiny_project, tiny_params, tmp_path):
    shutil.copytree(tiny_project, tmp_path / "project")
    paths, settings = Paths(tmp_path / "project"), tiny_params.robustness
    run_robustness(paths, tiny_params)
    report = json.loads(paths.metrics("robustness").read_text(encoding="utf-8"))
    conditions = {condition.name: condition for condition in conditions_of(settings)}
    assert list(report) == sorted(conditions)
    for name, condition in conditions.items():
        assert set(report[name]) == set(condition.decoders)
        most = settings.decisive_texts if name in settings.decisive else settings.texts
        assert all(0 < row["texts"] <= most for row in report[name].values())
        others = [row["texts"] for decoder, row in report[name].items() if decoder != "cascade"]
        all_texts = report[name]["cascade"]["texts"]
        assert set(others) == {settings.compared_texts if name in settings.decisive else all_texts}

    wide = Condition(width=128)
    assert report[wide.name]["cascade"]["texts"] == 5  # decisive
    model = Lexivert.load(paths.root)
    test = read_encoded_texts(paths, "test")
    texts = with_texts(test, draw_texts(test.texts, len(test), tiny_params.seed))
    again = RobustnessSweep(model.decoder.parts, model.encoder.config)
    for name, row in again.run(wide, texts, 5, settings.compared_texts).items():
        assert report[wide.name][name] == pytest.approx(row, abs=1e-5)
    codebook = model.decoder.codebook
    units = torch.tensor([unit for text in texts.units for unit in text])
    expected = by_dimensions(again.matches, -codebook.log_prior[units].mean().item(), len(codebook))
    table = pd.read_csv(paths.plots / "robustness.csv")
    pd.testing.assert_frame_equal(table, expected, check_exact=False, atol=1e-4)
