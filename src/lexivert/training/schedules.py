"""Schedules of learning rate, temperature and loss weights: linear warm-up, cosine annealing.

They are pure functions of how far training is, so that a resumed run needs no scheduler state. The learning rate is
not that of ``transformers.get_cosine_schedule_with_warmup``, whose first step has rate 0 and so moves nothing.
"""

from __future__ import annotations

import math


def cosine(start: float, end: float, share: float) -> float:
    """Go from ``start`` to ``end`` along half a cosine (SGDR, Loshchilov & Hutter 2017).

    Args:
        start: value at share 0.
        end: value at share 1 and later.
        share: part of training that is done.
    """
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * min(max(share, 0.0), 1.0)))


def linear_warmup(epochs_done: float, warmup_epochs: float) -> float:
    """Rise from 0 to 1 over the first ``warmup_epochs`` epochs; 1 from the start without a warm-up."""
    return 1.0 if warmup_epochs <= 0 else min(epochs_done / warmup_epochs, 1.0)


def optimiser_steps(batches: int, accumulation: int, epochs: int) -> int:
    """Optimiser steps of a run: the leftover batches of an epoch make one smaller step."""
    return epochs * -(-batches // accumulation)


def learning_rate_factor(step: int, total: int, warmup_share: float) -> float:
    """Linear warm-up, then a cosine to 0, both counted in optimiser steps (Goyal et al. 2017; Loshchilov 2017).

    Args:
        step: optimiser steps done before this one, 0 to ``total - 1``.
        total: optimiser steps of the full run.
        warmup_share: share of them in warm-up.

    Returns:
        A factor in (0, 1]: the last step still moves, and the schedule ends with the run.
    """
    warmup = math.ceil(total * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    return cosine(1.0, 0.0, (step - warmup) / max(total - warmup, 1))
