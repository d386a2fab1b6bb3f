"""Reliability of confidences over a mix of noise levels, and on vectors that no text made.

Every text is read at one level of noise. Where length and noise leave it open whether it can be read, that says
little, as one reading is right or wrong; there it is read three times, in noise of its own each time, and each counts
a third (stratified sampling; which texts these are is told before anything is read, so that nothing is biased).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.corruption import ARITHMETIC, add_noise
from lexivert.controller.calibration import AT_ONCE, ORDER_COSINES, mixed_cosines, right_units
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation import metrics
from lexivert.evaluation.decoders import in_batches, unit_ids
from lexivert.model import Lexivert, Reading

if TYPE_CHECKING:
    import pandas as pd

LEVELS = (1.0, *ORDER_COSINES[1:])
"""Noise levels in turn, as cosines of order parts: noise-free vectors among them, as users have them."""
COPIES = 3
"""Readings of a text that may come out either way."""
_OPEN = (10.0, 45.0)  # squared deviations by which a code stands out of noise, where texts may come out either way
_WITHOUT_TEXT = 24


def confidence_report(
    model: Lexivert, heldout: EncodedTexts, vectors: Tensor, count: int, seed: int
) -> tuple[dict[str, float], pd.DataFrame]:
    """How well confidences tell right texts and units from wrong ones.

    Args:
        model: reads vectors back.
        heldout: B texts.
        vectors: theirs. Shape: (B, D).
        count: most texts that are read.
        seed: of the choice of texts and of the noise.

    Returns:
        Figures; and the bins of the reliability diagram: ``confidence``, ``observed``, ``perfect``, ``readings``.
    """
    rows = np.random.default_rng(seed).permutation(len(heldout))[:count].tolist()
    clean, units = vectors[rows], [heldout.units[row] for row in rows]
    noise = torch.Generator().manual_seed(seed + 1)
    cosines = mixed_cosines(len(rows), LEVELS, model.decoder.codebook, model.semantic_width)
    copies = copies_of([len(text) for text in units], model.decoder.codebook.width)
    place = torch.arange(len(rows)).repeat_interleave(torch.tensor(copies))
    readings = _read(model, add_noise(clean[place], cosines[place], noise), "confidence")
    found = unit_ids(model, readings)
    truth, weights = [units[row] for row in place.tolist()], [1.0 / copies[row] for row in place.tolist()]
    right, confidence = [a == b for a, b in zip(truth, found, strict=True)], [one.confidence for one in readings]
    bins = metrics.reliability(confidence, right, weights)
    bins.insert(2, "perfect", bins["confidence"])
    low, high = metrics.calibration_error_interval(confidence, right, weights, place.tolist())
    figures = {
        "texts": len(rows),
        "readings": len(right),
        "exact_match": float(np.average(right, weights=weights)),
        "expected_calibration_error": metrics.expected_calibration_error(confidence, right, weights),
        "expected_calibration_error_low": low,
        "expected_calibration_error_high": high,
        "auroc": metrics.auroc(confidence, right, weights),
    }
    hits = [right_units(a, b) for a, b in zip(truth, found, strict=True)]
    return figures | _of_units(readings, hits, weights) | _without_text(model, clean, noise), bins


def copies_of(lengths: list[int], width: int) -> list[int]:
    """How often each text is read: ``COPIES`` times where noise and length leave it open how that ends, else once.

    Args:
        lengths: units of each text, B of them; noise levels take turns.
        width: O.
    """
    levels = (LEVELS[place % len(LEVELS)] for place in range(len(lengths)))
    out = (
        width * level**2 / ((1.0 - level**2) * (length + 1.0)) if level < 1.0 else float("inf")
        for level, length in zip(levels, lengths, strict=True)
    )
    return [COPIES if _OPEN[0] <= deviations <= _OPEN[1] else 1 for deviations in out]


def _of_units(readings: list[Reading], hits: list[list[bool]], weights: list[float]) -> dict[str, float]:
    """The same of units: whether each is right, weighted as its reading is."""
    confidence, right = [score for one in readings for score in one.scores], [hit for own in hits for hit in own]
    each = [weight for own, weight in zip(hits, weights, strict=True) for _ in own]
    return {
        "unit_expected_calibration_error": metrics.expected_calibration_error(confidence, right, each),
        "unit_auroc": metrics.auroc(confidence, right, each),
    }


def _without_text(model: Lexivert, vectors: Tensor, noise: torch.Generator) -> dict[str, float]:
    """Mean confidence for vectors that no text made: sums and differences, as in calibration, and noise alone."""
    kinds = {name: combine(vectors, noise) for name, combine in ARITHMETIC.items()}
    kinds["random_vectors"] = F.normalize(torch.randn(vectors.shape, generator=noise), dim=1)
    report = {}
    for name, made in kinds.items():
        if len(made):
            readings = _read(model, made[:_WITHOUT_TEXT], name.replace("_", " "))
            report[f"mean_confidence_of_{name}"] = float(np.mean([reading.confidence for reading in readings]))
    return report


def _read(model: Lexivert, vectors: Tensor, label: str) -> list[Reading]:
    return in_batches(lambda part: model.read(part.numpy()), [vectors], AT_ONCE, label)
