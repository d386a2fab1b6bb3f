"""The registry of decoding algorithms: name, factory, and label in tables; the only list of them."""

from __future__ import annotations

from collections.abc import Callable

from lexivert.controller.amp import AmpDecoder
from lexivert.controller.base import DecodingAlgorithm, Parts
from lexivert.controller.cancellation import Cancellation
from lexivert.controller.cascade import Cascade
from lexivert.controller.easy_first import EasyFirst
from lexivert.controller.one_shot import OneShot
from lexivert.priors.unigram import flat, unigram
from lexivert.registry import Registry

DECODERS: Registry[Callable[[Parts], DecodingAlgorithm]] = Registry("decoding algorithm")
"""Factories of decoding algorithms, made of ``Parts``."""


@DECODERS.register("one_shot", label="one-shot unbinding")
def one_shot(parts: Parts) -> OneShot:
    """Every position unbound once."""
    return OneShot(parts.index, parts.codebook)


@DECODERS.register("cancellation", label="hard cancellation")
def cancellation(parts: Parts) -> Cancellation:
    """Hard interference cancellation."""
    return Cancellation(parts.index, parts.codebook)


@DECODERS.register("amp_flat", label="AMP, flat prior")
def amp_flat(parts: Parts) -> AmpDecoder:
    """Message passing that knows no unit to be likelier than another."""
    return _amp(parts.with_prior(flat(parts.codebook.log_prior)))


@DECODERS.register("amp_unigram", label="AMP, unigram prior")
def amp_unigram(parts: Parts) -> AmpDecoder:
    """Message passing with the unigram prior."""
    return _amp(parts.with_prior(unigram(parts.codebook.log_prior)))


@DECODERS.register("amp_selector", label="AMP, model's prior")
def amp_selector(parts: Parts) -> AmpDecoder:
    """Message passing with the model's own prior, by default the Selector's."""
    return _amp(parts)


@DECODERS.register("easy_first", label="easy-first (Selector + Placer)")
def easy_first(parts: Parts) -> EasyFirst:
    """The surest units first, with the model's own prior."""
    return EasyFirst(parts.index, parts.codebook, parts.prior, parts.params.easy_first)


@DECODERS.register("cascade_unigram", label="cascade, unigram prior")
def cascade_unigram(parts: Parts) -> Cascade:
    """The cascade with nothing learned but the codes."""
    return Cascade(parts.with_prior(unigram(parts.codebook.log_prior)))


@DECODERS.register("cascade", label="cascade (the controller)")
def cascade(parts: Parts) -> Cascade:
    """The controller: easy-first, message passing, restarts; the model's own prior."""
    return Cascade(parts)


def _amp(parts: Parts) -> AmpDecoder:
    return AmpDecoder(parts.index, parts.codebook, parts.prior, parts.params.amp)
