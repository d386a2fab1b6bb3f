"""The curves that dvc.yaml plots are those that stages write."""

from __future__ import annotations

from pathlib import Path

import pytest

from lexivert.controller.registry import DECODERS
from lexivert.evaluation.robustness import ALL_DECODERS, FEW_DECODERS, LIMITS
from lexivert.evaluation.round_trip import DECODERS_TRIED
from lexivert.yaml_reader import read_yaml

PLOTS = read_yaml(Path(__file__).resolve().parents[2] / "dvc.yaml")["plots"]


def plotted(table: str) -> list[str]:
    (columns,) = (plot["y"][table] for named in PLOTS for plot in named.values() if table in plot["y"])
    return columns


def test_exact_match_is_plotted_for_every_decoder():
    expected = [f"{name}_{condition}" for condition in ("clean", "noisy") for name in DECODERS_TRIED]
    expected.remove("nearest_sentence_noisy")  # the line of the clean one over again, along the axis
    assert plotted("metrics/plots/exact_match.csv") == expected


def test_robustness_is_plotted_for_every_decoder_with_the_limits():
    assert plotted("metrics/plots/robustness.csv") == [*ALL_DECODERS, *LIMITS]


@pytest.mark.parametrize("names", [ALL_DECODERS, FEW_DECODERS, DECODERS_TRIED[1:]])
def test_decoders_are_the_registrys(names):
    assert set(names) <= set(DECODERS)
