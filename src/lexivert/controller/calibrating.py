"""Calibrates confidences on validation texts over a mix of noise levels."""

from __future__ import annotations

import logging

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from lexivert.controller.confidence import Calibration, fit_logistic, text_features, unit_features
from lexivert.controller.decoder import Decoder
from lexivert.controller.sampling import Texts, add_noise
from lexivert.encoder.composition import join_parts, split_parts, superpose
from lexivert.params import Params

logger = logging.getLogger(__name__)
_COSINES = (1.0, 0.8, 0.7, 0.65, 0.6, 0.55, 0.5)
_AT_ONCE = 32


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
    cosine = torch.tensor([_COSINES[place % len(_COSINES)] for place in range(len(chosen))])
    units = [list(texts.units[row]) for row in chosen]
    semantic = torch.from_numpy(texts.semantic[chosen].astype(np.float32))
    order, prefix = noisy_parts(decoder, units, semantic, cosine, seed)
    results = []
    for start in tqdm(range(0, len(chosen), _AT_ONCE), desc="calibrating", unit="batch", mininterval=1.0):
        part = slice(start, start + _AT_ONCE)
        results.append(decoder.decode(order[part], prefix[part]))
    width = order.shape[1]
    features = np.concatenate([text_features(part.scores, part.fit, width) for part in results])
    scores = [row for part in results for row in part.scores]
    decoded = [row for part in results for row in part.units]
    unproven = ~torch.cat([part.proven for part in results]).numpy()
    right = np.array([a == b for a, b in zip(units, decoded, strict=True)])
    unit_right = np.concatenate(
        [_right(a, b) for a, b, use in zip(units, decoded, unproven, strict=True) if use and b] or [np.zeros(0, bool)]
    )
    unit_inputs = [unit_features(row) for row, use in zip(scores, unproven, strict=True) if use and row]
    calibration = Calibration.none()
    if 0 < right[unproven].sum() < unproven.sum() and 0 < unit_right.sum() < len(unit_right):
        text = fit_logistic(features[unproven], right[unproven])
        calibration = Calibration(text, fit_logistic(np.concatenate(unit_inputs), unit_right))
    else:
        logger.warning("all texts of the calibration came out alike; confidences stay as the model has them")
    return calibration, {
        "texts": len(units),
        "exact_match": float(right.mean()),
        "proven": float(1.0 - unproven.mean()),
    }


def noisy_parts(
    decoder: Decoder, units: list[list[int]], semantic: Tensor, cosine: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Order parts and prefixes of full vectors at given cosines with the clean ones.

    Shape: semantic (B, S), cosine (B,), result (B, O) and (B, S).
    """
    language = decoder.language
    clean = join_parts(semantic, superpose(units, language.codes, language.binding), language.semantic_share)
    noisy = add_noise(clean, cosine, torch.Generator().manual_seed(seed))
    prefix, order = split_parts(noisy, semantic.shape[1])
    return order, prefix


def _right(truth: list[int], decoded: list[int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Tell which decoded units stand where the text has them."""
    return np.array([place < len(truth) and truth[place] == unit for place, unit in enumerate(decoded)], dtype=bool)
