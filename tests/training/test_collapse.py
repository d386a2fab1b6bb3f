from __future__ import annotations

import logging
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.token_head import TokenHeadConfig
from lexivert.codes.token_head_step import TrainingUnits
from lexivert.codes.token_head_training import train_token_head
from lexivert.data.relations import Relations
from lexivert.errors import LexivertError
from lexivert.training.collapse import CollapseAlarm, CollapseRules, anisotropy, spread
from sections import section

SPREAD = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
"""Opposite vectors: their mean is nothing."""
ALIKE = torch.tensor([[3.0, 4.0], [0.6, 0.8]])
"""One direction, two lengths."""
BETWEEN = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
"""Mean (.8, .4), of squared length .64 + .16 = .8."""


def alarm(**rules):
    return CollapseAlarm("the codes", "lower the rate", CollapseRules(**rules))


@pytest.mark.parametrize(
    ("vectors", "value"),
    [
        (SPREAD, 0.0),
        (ALIKE, 1.0),
        (BETWEEN, 0.8),
        (torch.tensor([[2.0, 0.0], [0.0, 5.0]]), 0.5),  # mean (1/2, 1/2)
    ],
)
def test_anisotropy_by_hand(vectors, value):
    assert float(anisotropy(vectors)) == pytest.approx(value, abs=1e-6)


def test_anisotropy_is_the_mean_cosine_of_two_rows():
    rows = torch.randn(9, 4, generator=torch.Generator().manual_seed(0)) + 0.5
    naive = [float(F.cosine_similarity(a, b, dim=0)) for a in rows for b in rows]
    assert float(anisotropy(rows)) == pytest.approx(np.mean(naive), abs=1e-6)


def test_spread_by_hand():
    # (±1, 0) and (0, ±1) have a variance of 2 / 4 in both dimensions; times √2 that is a deviation of 1.
    assert float(spread(torch.tensor([[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0], [0.0, -1.0]]))) == pytest.approx(1.0)
    assert float(spread(SPREAD)) == pytest.approx(math.sqrt(2) / 2)  # deviations 1 and 0
    assert float(spread(ALIKE)) == pytest.approx(0.0, abs=1e-6)


def test_neither_asks_for_gradients():
    vectors = SPREAD.clone().requires_grad_()
    for value in (anisotropy(vectors), spread(vectors), alarm()(vectors)):
        assert value.shape == ()
        assert not value.requires_grad


@pytest.mark.parametrize("patience", [1, 3, 25])
def test_the_run_ends_after_exactly_so_many_collapsed_steps(patience):
    watch = alarm(patience=patience)
    for _ in range(patience - 1):
        assert float(watch(ALIKE)) == pytest.approx(1.0)
    with pytest.raises(LexivertError) as caught:
        watch(ALIKE)
    assert str(caught.value) == (
        f"the codes have collapsed: for {patience} steps their anisotropy (mean cosine) has been at least 0.95, "
        "now 1.00; lower the rate"
    )


def test_one_step_without_collapse_starts_the_count_again():
    watch = alarm(patience=3)
    for _ in range(4):
        watch(ALIKE)
        watch(ALIKE)
        assert float(watch(SPREAD)) == pytest.approx(0.0, abs=1e-6)
    watch(ALIKE)
    watch(ALIKE)
    with pytest.raises(LexivertError, match="for 3 steps"):
        watch(ALIKE)


def test_a_step_below_the_bound_does_not_count_and_one_above_it_does():
    watch = alarm(patience=1, stop_from=0.81)
    for _ in range(5):
        assert float(watch(BETWEEN)) == pytest.approx(0.8)
    with pytest.raises(LexivertError, match=r"at least 0\.79, now 0\.80"):
        alarm(patience=1, stop_from=0.79)(BETWEEN)


def test_a_warning_is_logged_once(caplog):
    watch = alarm(patience=10)
    with caplog.at_level(logging.WARNING, "lexivert"):
        watch(SPREAD)
        assert not caplog.records
        for vectors in (BETWEEN, SPREAD, BETWEEN, ALIKE):
            watch(vectors)
    assert [record.getMessage() for record in caplog.records] == [
        "the codes are close to collapse: their anisotropy (mean cosine) is 0.80"
    ]


def test_rules_by_default():
    watch = CollapseAlarm("the codes", "lower the rate")
    assert watch.rules == CollapseRules(warn_from=0.5, stop_from=0.95, patience=25)


class TestTokenHead:
    """Entire training runs of 40 steps, all units synonyms of their neighbours in a ring."""

    CONFIG = TokenHeadConfig(feature_width=12, hidden=32, code_width=48, identity_share=0.6, identity_seed=42)
    COUNT = 64

    @pytest.fixture
    def units(self):
        rows = torch.randn(self.COUNT, 12, generator=torch.Generator().manual_seed(0))
        ring = np.arange(self.COUNT)
        left, right = np.concatenate((ring, (ring + 1) % self.COUNT)), np.concatenate(((ring + 1) % self.COUNT, ring))
        related = Relations.from_pairs(left, right, self.COUNT)
        nothing = Relations.from_pairs(left[:0], left[:0], self.COUNT)
        everyone = torch.arange(self.COUNT)
        return TrainingUnits(rows.half(), everyone, everyone, related, related, nothing)

    def params(self, **weights):
        return section(
            "token_head",
            hidden=32,
            batch_size=32,
            epochs=40,
            queue_size=0,
            learning_rate=1e-2,
            temperature={"start": 0.1, "end": 0.1},
            synonym_margin=1.0,
            weight={"reconstruction": 0.0, "anchor_start": 0.0, "anchor_end": 0.0} | weights,
        )

    def test_attraction_without_contrast_ends_the_run(self, units):
        params = self.params(contrastive=0.0, synonym=100.0)
        with pytest.raises(LexivertError, match=r"head codes have collapsed: for 25 steps .* raise .*contrastive"):
            train_token_head(units, self.CONFIG, params, seed=1)

    def test_with_contrast_the_same_run_ends_well_and_its_curves_say_so(self, units):
        _, history = train_token_head(units, self.CONFIG, self.params(contrastive=1.0, synonym=0.1), seed=1)
        assert len(history) == 40
        assert history[-1]["anisotropy"] < 0.2
        assert history[-1]["spread"] > 0.8
