from __future__ import annotations

import numpy as np
import torch

from lexivert.controller.results import DecodeResult, Step


def result(units, *, calibrated):
    count = len(units)
    return DecodeResult(
        units=units,
        scores=[[0.5] * len(text) for text in units],
        fit=torch.linspace(0.5, 1.0, count),
        verified=torch.arange(count) % 2 == 0,
        steps=[[Step(unit, 0, 0.5, 0.5, (unit,)) for unit in text] for text in units],
        length_evidence=torch.zeros(count, 4),
        confidence=torch.full((count,), 0.25) if calibrated else None,
        features=np.full((count, 6), count, dtype=np.float64) if calibrated else None,
    )


def test_batches_are_joined_one_behind_the_other():
    parts = [result([[1, 2], [3]], calibrated=True), result([], calibrated=True), result([[4]], calibrated=True)]
    together = DecodeResult.joined(iter(parts))
    assert len(together) == 3
    assert together.units == [[1, 2], [3], [4]]
    assert together.scores == [[0.5, 0.5], [0.5], [0.5]]
    assert together.fit.tolist() == [0.5, 1.0, 0.5]
    assert together.verified.tolist() == [True, False, True]
    assert [[step.unit for step in steps] for steps in together.steps] == [[1, 2], [3], [4]]
    assert together.confidence.tolist() == [0.25] * 3
    assert together.features[:, 0].tolist() == [2.0, 2.0, 1.0]


def test_without_a_calibration_there_is_nothing_of_it():
    together = DecodeResult.joined([result([[1]], calibrated=False), result([[2]], calibrated=False)])
    assert together.units == [[1], [2]]
    assert together.confidence is None
    assert together.features is None
