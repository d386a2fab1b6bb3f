"""Calibrates confidences on validation texts over a mix of noise levels, and on vectors that no text made.

Verified texts need no calibration, so that there are no noise-free vectors among them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.codes.corruption import ARITHMETIC, add_noise, full_cosine
from lexivert.codes.superposition import join_parts, parts_of
from lexivert.controller.confidence import Calibration, unit_features
from lexivert.controller.controller import Controller
from lexivert.controller.observation import Observation
from lexivert.controller.results import DecodeResult
from lexivert.data.encoded_texts import EncodedTexts

logger = logging.getLogger(__name__)
ORDER_COSINES = (0.85, 0.75, 0.65, 0.6, 0.55, 0.5, 0.45)
"""Noise levels that texts are read at, as cosines of order parts with the clean ones: from easy to hopeless."""
AT_ONCE = 32
"""Noisy texts decoded in one batch."""
_TEXTS_A_COMBINATION = 7


def calibrate(
    controller: Controller, texts: EncodedTexts, count: int, seed: int
) -> tuple[Calibration, dict[str, float]]:
    """Fit the calibration.

    Args:
        controller: not calibrated yet.
        texts: validation sentences; each is decoded at one noise level, and some are added and subtracted.
        count: how many of them.
        seed: of the choice of texts, which favours rare lengths, and of the noise.

    Returns:
        The calibration; how many texts there were, and shares that were right and verified.
    """
    chosen = texts.only(_drawn(texts, count, seed))
    codebook = controller.codebook
    order = codebook.superpose(chosen.units)
    clean = join_parts(chosen.prefixes.to(order.device), order, codebook.semantic_share)
    noise = torch.Generator().manual_seed(seed)
    cosines = mixed_cosines(len(chosen), ORDER_COSINES, codebook, chosen.prefixes.shape[1])
    noisy = add_noise(clean, cosines.to(order.device), noise)
    combined = _combined(clean, len(chosen) // _TEXTS_A_COMBINATION, noise)
    prefix, order = parts_of(torch.cat((noisy, combined)), chosen.prefixes.shape[1])
    found = controller.decode_all(Observation.of(order, prefix), AT_ONCE, "calibrating")
    right = np.array([a == b for a, b in zip(chosen.units, found.units, strict=False)] + [False] * len(combined))
    verified = found.verified.cpu().numpy()
    return _fitted(chosen.units, found, right, verified), {
        "texts": len(chosen),
        "combinations": len(combined),
        "exact_match": float(right[: len(chosen)].mean()),
        "verified": float(verified[: len(chosen)].mean()),
    }


def _combined(clean: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Vectors that no text made, of all kinds of arithmetic in turn. Shape: (B, D) to (count, D) at most."""
    made = [combine(clean, generator) for combine in ARITHMETIC.values()]
    rows = [kind[place : place + 1] for place in range(len(clean)) for kind in made]
    return torch.cat([*rows, clean[:0]])[:count]


def _drawn(texts: EncodedTexts, count: int, seed: int) -> list[int]:
    """Rows of some texts; long ones are few and fail most, so that rare lengths are drawn more often."""
    lengths = np.array([len(text) for text in texts.units])
    rarity = np.bincount(lengths)[lengths] ** -0.5
    rng = np.random.default_rng(seed)
    drawn: list[int] = rng.choice(len(texts), min(count, len(texts)), replace=False, p=rarity / rarity.sum()).tolist()
    return drawn


def _fitted(
    truth: Sequence[Sequence[int]], found: DecodeResult, right: npt.NDArray[np.bool_], verified: npt.NDArray[np.bool_]
) -> Calibration:
    """Regressions of being right on the features of unverified texts, and of their units' scores."""
    assert found.features is not None
    unverified = ~verified
    rows = [row for row in np.flatnonzero(unverified[: len(truth)]).tolist() if found.units[row]]
    hits = np.array([hit for row in rows for hit in right_units(truth[row], found.units[row])], dtype=bool)
    if not (0 < right[unverified].sum() < unverified.sum() and 0 < hits.sum() < len(hits)):
        logger.warning("all texts of the calibration came out alike; confidences stay as the model has them")
        return Calibration.none()
    inputs = np.concatenate([unit_features(found.scores[row]) for row in rows])
    return Calibration(fit_logistic(found.features[unverified], right[unverified]), fit_logistic(inputs, hits))


def fit_logistic(features: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    """Weights of a logistic regression, the constant last. Shape: (M, F) and (M,).

    Raises:
        ValueError: all of them are right, or none is: nothing can be calibrated.
    """
    from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

    if right.all() or not right.any():
        raise ValueError("all came out alike; a calibration needs right ones and wrong ones")
    scale = features.std(axis=0)
    scale = np.where(scale > 1e-6, scale, 1.0)  # what is the same for all is part of the constant
    model = LogisticRegression(C=10.0, max_iter=1000).fit(features / scale, right)
    return (*(float(weight) for weight in model.coef_[0] / scale), float(model.intercept_[0]))


def mixed_cosines(count: int, levels: Sequence[float], codebook: Codebook, semantic_width: int) -> Tensor:
    """Noise levels in turn, as cosines of full vectors with the clean ones.

    Args:
        count: of the vectors.
        levels: as cosines of order parts, which tell how hard a text is whatever the semantic share.
        codebook: of the vectors.
        semantic_width: S.

    Shape: (count,).
    """
    turns = torch.tensor([levels[place % len(levels)] for place in range(count)], device="cpu")
    return full_cosine(turns, codebook.width, semantic_width, codebook.semantic_share)


def right_units(truth: Sequence[int], decoded: Sequence[int]) -> list[bool]:
    """Tell which decoded units stand where the text has them."""
    return [place < len(truth) and truth[place] == unit for place, unit in enumerate(decoded)]
