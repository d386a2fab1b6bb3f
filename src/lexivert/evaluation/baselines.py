"""Decoders that stand beside the learned controller: nearest sentence, one-shot unbinding, hard cancellation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.controller.decoder import first_length
from lexivert.encoder.binding import RotaryBinding
from lexivert.encoder.composition import superpose
from lexivert.index.faiss_index import UnitIndex
from lexivert.lexicon.units import END

MAX_PASSES = 12


def nearest_sentence(semantic: Tensor, sentences: npt.NDArray[np.float16]) -> npt.NDArray[np.int64]:
    """Row of the training sentence whose backbone embedding is nearest: retrieval without any decoding.

    Shape: semantic (B, S) of unit length, sentences (T, S) of unit length, result (B,).
    """
    best = np.full(len(semantic), -np.inf, dtype=np.float32)
    rows = np.zeros(len(semantic), dtype=np.int64)
    for start in range(0, len(sentences), 16384):
        scores = semantic.numpy() @ sentences[start : start + 16384].astype(np.float32).T
        found, value = scores.argmax(axis=1), scores.max(axis=1)
        better = value > best
        rows[better], best[better] = start + found[better], value[better]
    return rows


def one_shot(order: Tensor, index: UnitIndex, binding: RotaryBinding) -> list[list[int]]:
    """Unbind every position once and take the nearest unit: the weakest decoder (Plate 1995).

    The length is where END's evidence is strongest, as in the controller's first step.

    Shape: order (B, O); result B lists of unit ids.
    """
    target = F.normalize(order, dim=-1)
    ends = _ends(index, binding)
    return [
        _nearest(binding.unbind(row.expand(n, -1), torch.arange(n)), index) if n else []
        for row, n in zip(target, first_length(target, ends).tolist(), strict=True)
    ]


def cancellation(order: Tensor, index: UnitIndex, binding: RotaryBinding) -> list[list[int]]:
    """Hard interference cancellation: decode all positions, subtract the others' units, decode again, until stable.

    After Frady, Kleyko & Sommer (2018). It knows neither a prior nor how sure it is. END is found anew in every pass.

    Shape: order (B, O); result B lists of unit ids.
    """
    target = F.normalize(order, dim=-1)
    ends = _ends(index, binding)
    codes = torch.from_numpy(index.codes)
    texts = one_shot(order, index, binding)
    for _ in range(MAX_PASSES):
        changed = False
        for row, text in enumerate(texts):
            total = superpose([text], codes, binding)[0]
            scale = total.square().sum() / (target[row] * total).sum().clamp_min(1e-6)
            residual = scale * target[row] - total
            length = int((ends @ (residual + ends[len(text)])).argmax())
            held = [*text[:length], *[None] * (length - len(text))]
            evidence = binding.unbind(residual.expand(length, -1), torch.arange(length))
            for position, unit in enumerate(held):
                if unit is not None:
                    evidence[position] += codes[unit].float()
            decoded = _nearest(evidence, index) if length else []
            changed |= decoded != text
            texts[row] = decoded
        if not changed:
            break
    return texts


def _ends(index: UnitIndex, binding: RotaryBinding) -> Tensor:
    positions = torch.arange(binding.positions)
    return binding.bind(torch.from_numpy(index.codes[END]).float().expand(len(positions), -1), positions)


def _nearest(evidence: Tensor, index: UnitIndex) -> list[int]:
    found: Sequence[int] = index.search(F.normalize(evidence, dim=-1).numpy(), 1)[1][:, 0].tolist()
    return list(found)
