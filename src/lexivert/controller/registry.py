"""Decoding algorithms by name, each with its label in tables: the only list of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.controller import baselines
from lexivert.controller.amp import AmpDecoder
from lexivert.controller.cascade import Cascade
from lexivert.priors.base import Prior

Decode = Callable[[Tensor, Tensor], list[list[int]]]
"""Order parts (B, O) and semantic prefixes (B, S) to B lists of unit ids."""


@dataclass(frozen=True)
class Entry:
    """A decoding algorithm.

    Attributes:
        factory: makes it for the codes, index, prior and rules of a trained cascade.
        label: its name in tables and figures.
    """

    factory: Callable[[Cascade], Decode]
    label: str


def _one_shot(cascade: Cascade) -> Decode:
    index, binding = cascade.proposer.index, cascade.codebook.binding
    return lambda order, _: baselines.one_shot(order, index, binding)


def _cancellation(cascade: Cascade) -> Decode:
    index, binding = cascade.proposer.index, cascade.codebook.binding
    return lambda order, _: baselines.cancellation(order, index, binding)


def _amp(cascade: Cascade, prior: Prior) -> Decode:
    decoder = AmpDecoder(cascade.proposer.index, cascade.codebook, prior)
    return lambda order, semantic: decoder.decode(order, semantic).units


def _flat_prior(cascade: Cascade) -> Prior:
    log_prior = cascade.codebook.log_prior
    return Prior.fixed(torch.full_like(log_prior, -math.log(len(log_prior))))


def _unigram_prior(cascade: Cascade) -> Prior:
    return Prior.fixed(cascade.codebook.log_prior)


def _cascade(cascade: Cascade) -> Decode:
    return lambda order, semantic: cascade.decode(order, semantic).units


DECODERS: Mapping[str, Entry] = {
    "one_shot": Entry(_one_shot, "one-shot unbinding"),
    "cancellation": Entry(_cancellation, "hard cancellation"),
    "amp_flat": Entry(lambda cascade: _amp(cascade, _flat_prior(cascade)), "AMP, flat prior"),
    "amp_unigram": Entry(lambda cascade: _amp(cascade, _unigram_prior(cascade)), "AMP, unigram prior"),
    "amp_selector": Entry(lambda cascade: _amp(cascade, cascade.proposer.prior), "AMP, Selector"),
    "easy_first": Entry(
        lambda cascade: lambda order, semantic: cascade.incremental.decode(order, semantic).units,
        "easy first, Selector",
    ),
    "cascade_unigram": Entry(
        lambda cascade: _cascade(cascade.changed(prior=_unigram_prior(cascade))), "cascade, unigram prior"
    ),
    "cascade": Entry(_cascade, "cascade, Selector"),
}
