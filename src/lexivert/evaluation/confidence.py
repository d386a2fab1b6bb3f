"""Reliability of confidences over a mix of noise levels, and on vectors that no text made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.corruption import add_noise, blends
from lexivert.controller.calibration import AT_ONCE, mixed_cosines, right_units
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation import metrics
from lexivert.evaluation.decoders import in_batches, unit_ids
from lexivert.model import Lexivert, Reading

if TYPE_CHECKING:
    import pandas as pd

_TEXTS = 300
_COPIES = 2  # of each, in as many levels of noise; in 600 readings chance alone makes an error of about .02
_WITHOUT_TEXT = 24


def confidence_report(
    model: Lexivert, heldout: EncodedTexts, vectors: Tensor, seed: int
) -> tuple[dict[str, float], pd.DataFrame]:
    """How well confidences tell right texts and units from wrong ones.

    Args:
        model: reads vectors back.
        heldout: B texts.
        vectors: theirs. Shape: (B, D).
        seed: of the choice of texts and of the noise.

    Returns:
        Figures; and the bins of the reliability diagram: ``confidence``, ``observed``, ``perfect``, ``readings``.
    """
    rows = np.random.default_rng(seed).permutation(len(heldout))[:_TEXTS].tolist()
    clean = vectors[rows]
    noise = torch.Generator().manual_seed(seed + 1)
    copies = clean.repeat_interleave(_COPIES, dim=0)
    readings = _read(model, add_noise(copies, mixed_cosines(len(copies)), noise), "confidence")
    found = unit_ids(model, readings)
    truth = [heldout.units[row] for row in rows for _ in range(_COPIES)]
    confidence = [reading.confidence for reading in readings]
    right = [a == b for a, b in zip(truth, found, strict=True)]
    unit_confidence = [score for reading in readings for score in reading.scores]
    unit_right = [hit for a, b in zip(truth, found, strict=True) for hit in right_units(a, b)]
    report = {
        "texts": len(rows),
        "readings": len(right),
        "exact_match": float(np.mean(right)),
        "expected_calibration_error": metrics.expected_calibration_error(confidence, right),
        "expected_calibration_error_of_first_copies": metrics.expected_calibration_error(
            confidence[::_COPIES], right[::_COPIES]
        ),
        "auroc": metrics.auroc(confidence, right),
        "unit_expected_calibration_error": metrics.expected_calibration_error(unit_confidence, unit_right),
        "unit_auroc": metrics.auroc(unit_confidence, unit_right),
    }
    bins = metrics.reliability(confidence, right)
    bins.insert(2, "perfect", bins["confidence"])
    return report | _without_text(model, clean, noise), bins


def _without_text(model: Lexivert, vectors: Tensor, noise: torch.Generator) -> dict[str, float]:
    """Mean confidence for vectors that no text made: two texts blended, as in calibration; three; and noise alone."""
    kinds = {
        "blends_of_two": blends(vectors, noise),
        "blends_of_three": F.normalize(vectors[:-2] + vectors[1:-1] + vectors[2:], dim=1),
        "random_vectors": F.normalize(torch.randn(vectors.shape, generator=noise), dim=1),
    }
    report = {}
    for name, made in kinds.items():
        if len(made):
            readings = _read(model, made[:_WITHOUT_TEXT], name.replace("_", " "))
            report[f"mean_confidence_of_{name}"] = float(np.mean([reading.confidence for reading in readings]))
    return report


def _read(model: Lexivert, vectors: Tensor, label: str) -> list[Reading]:
    return in_batches(lambda part: model.read(part.numpy()), [vectors], AT_ONCE, label)
