"""Calibrates confidences on validation texts over a mix of noise levels, and on vectors that no text made."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.superposition import join_parts, split_parts, superpose
from lexivert.controller.cascade import Cascade
from lexivert.controller.confidence import Calibration, fit_logistic, unit_features
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.priors.selector_data import add_noise

logger = logging.getLogger(__name__)
_COSINES = (1.0, 0.8, 0.7, 0.65, 0.6, 0.55, 0.5)
AT_ONCE = 32
"""Noisy texts decoded in one batch."""
_TEXTS_A_BLEND = 7


def calibrate(decoder: Cascade, texts: EncodedTexts, count: int, seed: int) -> tuple[Calibration, dict[str, float]]:
    """Fit the calibration.

    Args:
        decoder: not calibrated yet.
        texts: validation sentences; each is decoded at one noise level, and some pairs of them blended.
        count: how many of them.
        seed: of the choice of texts, which favours rare lengths, and of the noise.

    Returns:
        The calibration; how many texts there were, and shares that were right and proven.
    """
    rng = np.random.default_rng(seed)
    lengths = np.array([len(text) for text in texts.units])
    rarity = np.bincount(lengths)[lengths] ** -0.5  # long texts are few and fail most
    drawn = rng.choice(len(texts), min(count, len(texts)), replace=False, p=rarity / rarity.sum())
    chosen = drawn.tolist()
    units = [list(texts.units[row]) for row in chosen]
    semantic = texts.prefixes[chosen]
    codebook = decoder.codebook
    clean = join_parts(semantic, superpose(units, codebook.codes, codebook.binding), codebook.semantic_share)
    noise = torch.Generator().manual_seed(seed)
    noisy = add_noise(clean, mixed_cosines(len(chosen)), noise)
    blended = blends(clean, noise)[: len(chosen) // _TEXTS_A_BLEND]
    prefix, order = split_parts(torch.cat((noisy, blended)), semantic.shape[1])
    decoded = decoder.decode_all(order, prefix, AT_ONCE, "calibrating")
    right = np.array([a == b for a, b in zip(units, decoded.units, strict=False)] + [False] * len(blended))
    unproven = ~decoded.proven.numpy()
    doubtful = [row for row in np.flatnonzero(unproven[: len(units)]).tolist() if decoded.units[row]]
    hits = [hit for row in doubtful for hit in right_units(units[row], decoded.units[row])]
    unit_right = np.array(hits, dtype=bool)
    calibration = Calibration.none()
    if 0 < right[unproven].sum() < unproven.sum() and 0 < unit_right.sum() < len(unit_right):
        text = fit_logistic(decoded.features[unproven], right[unproven])
        inputs = np.concatenate([unit_features(decoded.scores[row]) for row in doubtful])
        calibration = Calibration(text, fit_logistic(inputs, unit_right))
    else:
        logger.warning("all texts of the calibration came out alike; confidences stay as the model has them")
    return calibration, {
        "texts": len(units),
        "blends": len(blended),
        "exact_match": float(right[: len(units)].mean()),
        "proven": float(1.0 - unproven[: len(units)].mean()),
    }


def mixed_cosines(count: int) -> Tensor:
    """Noise levels in turn, as cosines of full vectors with the clean ones. Shape: (count,)."""
    return torch.tensor([_COSINES[place % len(_COSINES)] for place in range(count)])


def blends(vectors: Tensor, generator: torch.Generator) -> Tensor:
    """Weighted means of every vector and its neighbour, .5 to .75 of the first: vectors that no text made.

    Shape: (B, D) to (B - 1, D) of unit length.
    """
    share = 0.5 + 0.25 * torch.rand(len(vectors) - 1, 1, generator=generator)
    return F.normalize(share * vectors[:-1] + (1.0 - share) * vectors[1:], dim=1)


def right_units(truth: Sequence[int], decoded: Sequence[int]) -> list[bool]:
    """Tell which decoded units stand where the text has them."""
    return [place < len(truth) and truth[place] == unit for place, unit in enumerate(decoded)]
