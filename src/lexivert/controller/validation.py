"""How many nats a unit of held-out text costs under the Selector, by what it may know."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from lexivert.controller.sampling import Texts
from lexivert.controller.selector import HELD, Context, Selector

_TEXTS = 512
_AT_ONCE = 32


@torch.inference_mode()
def cross_entropies(selector: Selector, log_prior: Tensor, texts: Texts) -> dict[str, float]:
    """Mean ``-log p`` of the right unit over all units, exactly.

    Returns:
        ``unigram``; ``prefix``: given the clean semantic prefix; ``neighbours``: given all other units;
        ``prefix_and_neighbours``: both.
    """
    chosen = np.linspace(0, len(texts) - 1, min(_TEXTS, len(texts))).astype(int).tolist()
    sums = dict.fromkeys(("unigram", "prefix", "neighbours", "prefix_and_neighbours"), 0.0)
    count = 0
    for start in range(0, len(chosen), _AT_ONCE):
        rows = chosen[start : start + _AT_ONCE]
        truth, length = padded([texts.units[row] for row in rows])
        inside = truth >= 0
        semantic = torch.from_numpy(texts.semantic[rows].astype(np.float32))
        count += int(inside.sum())
        sums["unigram"] -= float(log_prior[truth[inside]].sum())
        for name, prefix, known in (("prefix", 1, 0), ("neighbours", 0, 1), ("prefix_and_neighbours", 1, 1)):
            context = known_context(truth, length, semantic, prefix=bool(prefix), known=bool(known))
            logits = torch.addmm(selector.bias, selector(context)[inside], selector.table.T)
            sums[name] += float(torch.nn.functional.cross_entropy(logits, truth[inside], reduction="sum"))
    return {name: total / count for name, total in sums.items()}


def padded(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Units of texts, -1 beyond their ends, and their lengths. Shape: (B, N), at least one wide, and (B,)."""
    length = torch.tensor([len(text) for text in texts])
    truth = torch.full((len(texts), max(int(length.max()), 1)), -1)
    for row, text in enumerate(texts):
        truth[row, : len(text)] = torch.tensor(text, dtype=torch.int64)
    return truth, length


def known_context(truth: Tensor, length: Tensor, semantic: Tensor, *, prefix: bool, known: bool) -> Context:
    """Context in which all units are known or none is, with the clean semantic prefix or without."""
    units = torch.full((*truth.shape, HELD), -1)
    shares = torch.zeros(*truth.shape, HELD)
    if known:
        units[:, :, 0] = truth
        shares[:, :, 0] = (truth >= 0).float()
    return Context(units, shares, length, semantic * prefix, torch.full((len(truth),), float(prefix)))
