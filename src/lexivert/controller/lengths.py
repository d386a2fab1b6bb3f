"""Lengths before anything is decoded: what EOS's evidence and the prior say of where a text ends."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lexivert.controller.observation import Observation
from lexivert.priors.base import Belief, Prior
from lexivert.text.lexicon import NEVER

_COSINES = (1.0, 0.75, 0.5, 0.25)
"""Of order parts with the clean ones, all as likely as each other before anything is known."""


def length_evidence(order: Tensor, eos_codes: Tensor) -> Tensor:
    """Log likelihood ratio of every length against plain noise, whatever noise the vector may have.

    A vector of n units, of cosine c with the clean one, shows EOS at position n with inner product near
    ``c / sqrt(n + 1)``, in noise of deviation ``1 / sqrt(O)``; the likelihood is the mean over some cosines.

    Args:
        order: order parts, unit length. Shape: (B, O).
        eos_codes: EOS's code at every position. Shape: (N, O).

    Shape: (B, N).
    """
    clean = torch.arange(1, len(eos_codes) + 1, dtype=order.dtype, device=order.device).rsqrt()
    products = order @ eos_codes.T
    ratios = [(products - cosine * clean / 2) * cosine * clean * order.shape[1] for cosine in _COSINES]
    return torch.stack(ratios).logsumexp(dim=0) - torch.log(order.new_tensor(len(_COSINES)))


def log_length_prior(
    prior: Prior, observed: Observation, positions: int, lengths: Sequence[int] | None = None
) -> Tensor:
    """Log prior over lengths, with those ruled out that are too short for the known units, or not the given ones.

    Args:
        prior: over lengths, given the semantic prefix.
        observed: B vectors.
        positions: P.
        lengths: units in each text, if they are given.

    Shape: (B, P).
    """
    device = observed.order.device
    nothing = torch.zeros(len(observed), dtype=torch.int64, device=device)
    log_prior = prior.log_length(Belief.empty(1, nothing, observed.prefix), positions)
    possible = torch.arange(positions, device=device)
    ruled_out = torch.zeros_like(log_prior, dtype=torch.bool)
    if observed.known is not None:
        ruled_out |= possible < (observed.known >= 0).sum(dim=1, keepdim=True)
    if lengths is not None:
        ruled_out |= possible != torch.tensor(lengths, device=device)[:, None]
    return log_prior + ruled_out * NEVER
