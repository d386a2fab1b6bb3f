"""Calibrates confidences on validation texts over a mix of noise levels."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lexivert.controller.confidence import Calibration, fit_logistic, text_features, unit_features
from lexivert.controller.decoder import Decoder
from lexivert.controller.sampling import Texts, add_noise
from lexivert.encoder.composition import join_parts, split_parts, superpose
from lexivert.params import Params

logger = logging.getLogger(__name__)
_COSINES = (1.0, 0.8, 0.7, 0.65, 0.6, 0.55, 0.5)
AT_ONCE = 32
"""Noisy texts decoded in one batch."""


def calibrate(decoder: Decoder, texts: Texts, params: Params, seed: int) -> tuple[Calibration, dict[str, float]]:
    """Fit the calibration.

    Args:
        decoder: not calibrated yet.
        texts: validation sentences; each is decoded at one noise level.
        params: numbers of the run; ``controller.calibration_texts`` says how many texts.
        seed: of the choice of texts and the noise.

    Returns:
        The calibration; how many texts there were, and shares that were right and proven.
    """
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(texts))[: params.controller.calibration_texts].tolist()
    units = [list(texts.units[row]) for row in chosen]
    semantic = torch.from_numpy(texts.semantic[chosen].astype(np.float32))
    language = decoder.language
    clean = join_parts(semantic, superpose(units, language.codes, language.binding), language.semantic_share)
    noisy = add_noise(clean, mixed_cosines(len(chosen)), torch.Generator().manual_seed(seed))
    prefix, order = split_parts(noisy, semantic.shape[1])
    decoded = decoder.decode_all(order, prefix, AT_ONCE, "calibrating")
    right = np.array([a == b for a, b in zip(units, decoded.units, strict=True)])
    unproven = ~decoded.proven.numpy()
    doubtful = [row for row in np.flatnonzero(unproven).tolist() if decoded.units[row]]
    unit_right = np.array(
        [hit for row in doubtful for hit in right_units(units[row], decoded.units[row])], dtype=bool
    )
    features = text_features(decoded.scores, decoded.fit, order.shape[1])
    calibration = Calibration.none()
    if 0 < right[unproven].sum() < unproven.sum() and 0 < unit_right.sum() < len(unit_right):
        text = fit_logistic(features[unproven], right[unproven])
        inputs = np.concatenate([unit_features(decoded.scores[row]) for row in doubtful])
        calibration = Calibration(text, fit_logistic(inputs, unit_right))
    else:
        logger.warning("all texts of the calibration came out alike; confidences stay as the model has them")
    return calibration, {
        "texts": len(units),
        "exact_match": float(right.mean()),
        "proven": float(1.0 - unproven.mean()),
    }


def mixed_cosines(count: int) -> Tensor:
    """Noise levels in turn, as cosines of full vectors with the clean ones. Shape: (count,)."""
    return torch.tensor([_COSINES[place % len(_COSINES)] for place in range(count)])


def right_units(truth: Sequence[int], decoded: Sequence[int]) -> list[bool]:
    """Tell which decoded units stand where the text has them."""
    return [place < len(truth) and truth[place] == unit for place, unit in enumerate(decoded)]
