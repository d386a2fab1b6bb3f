"""Lengths before anything is decoded: what EOS's evidence and the prior say of where a text ends."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.energy_split import EnergySplit
from lexivert.controller.observation import Observation
from lexivert.priors.base import Belief, Prior
from lexivert.text.lexicon import NEVER

_COSINES = (1.0, 0.75, 0.5, 0.25)
"""Of order parts with the clean ones, all as likely as each other before anything is known."""


def length_evidence(order: Tensor, eos_codes: Tensor, cosine: Tensor | None = None) -> Tensor:
    """Log likelihood ratio of every length against plain noise.

    A vector of n units, of cosine c with the clean one, shows EOS, of energy g at position n, with inner product near
    ``m = c g / sqrt(n + g)``, in noise of variance ``g / O``. Where the cosine is not known, the likelihood is the
    mean over some.

    Args:
        order: order parts, unit length. Shape: (B, O).
        eos_codes: EOS's code at every position. Shape: (N, O).
        cosine: of the order parts with the clean ones, NaN where it is not known; None if nowhere. Shape: (B,).

    Shape: (B, N).
    """
    energy = eos_codes.square().sum(dim=1)
    clean = energy * (torch.arange(len(eos_codes), dtype=order.dtype, device=order.device) + energy).rsqrt()
    products = order @ eos_codes.T
    told = torch.full_like(products[:, 0], torch.nan) if cosine is None else cosine
    ratios = []
    for guess in _COSINES:
        expected = torch.where(told.isnan(), guess, told)[:, None] * clean
        ratios.append((products - expected / 2) * expected * order.shape[1] / energy)
    return torch.stack(ratios).logsumexp(dim=0) - math.log(len(_COSINES))


def length_posterior(observed: Observation, codebook: Codebook, log_prior: Tensor) -> Tensor:
    """Log posterior of every length but for a constant, before anything is decoded, at the noise that is told.

    Args:
        observed: B vectors.
        codebook: of them.
        log_prior: over lengths, see ``log_length_prior``. Shape: (B, P).

    Shape: (B, P).
    """
    cosine = EnergySplit.of(observed, codebook.semantic_share).cosine
    return length_evidence(observed.order, codebook.eos_codes, cosine) + log_prior


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
