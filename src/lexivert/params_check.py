"""Params that make sense only together, or with the parts that they name: checked before the first stage runs.

What a value may be by itself, ``config`` says.
"""

from __future__ import annotations

from pathlib import Path

from lexivert.codes.bindings import BINDINGS
from lexivert.config import ModelConfig, Params
from lexivert.controller.registry import DECODERS
from lexivert.devices import choose_device
from lexivert.encoders.known import known_width
from lexivert.errors import LexivertError
from lexivert.evaluation.robustness import LENGTH_SPAN, conditions_of
from lexivert.generation.params import AUTO, load_generation_params
from lexivert.generation.registry import GENERATORS
from lexivert.priors import selector_storage, unigram  # noqa: F401 they register their priors
from lexivert.priors.base import PRIORS
from lexivert.search.faiss_index import check_factory


def check_params(params: Params, *files: Path) -> None:
    """Refuse params with which a later stage could only fail; what the machine can't know yet is left to that stage.

    Args:
        params: of the run.
        files: that they were read from, for the message.

    Raises:
        LexivertError: a part is not registered, the machine has no such device, the backbone is not there or too wide
            for the vector, FAISS does not know the index, or a condition of the sweep can't be tried.
    """
    try:
        _check(params)
    except LexivertError as error:
        if not files:
            raise
        raise LexivertError(f"{' with '.join(map(str, files))}: {error}") from error


def check_generation_params(path: Path) -> None:
    """Refuse params of the pipeline ``generation`` that name a generator which is not registered.

    Args:
        path: of its params.yaml.

    Raises:
        LexivertError: they do, or are wrong by themselves.
    """
    name = load_generation_params(path).generator
    if name != AUTO and name not in GENERATORS:
        raise LexivertError(f"{path}: generator is {name!r}; give one of {', '.join((AUTO, *GENERATORS))}")


def _check(params: Params) -> None:
    BINDINGS.make(params.code.binding)
    DECODERS.make(params.controller.algorithm)
    PRIORS.make(params.controller.prior.partition(":")[0])
    choose_device(params.backbone.device)
    conditions_of(params.robustness)
    _check_lengths(params)
    width = known_width(params.backbone)
    if width is not None:
        order_width = ModelConfig.of(params, width).order_width
        check_factory(params.index, order_width)
        _check_widths(params, order_width)


def _check_lengths(params: Params) -> None:
    for length in params.robustness.lengths:
        if length + LENGTH_SPAN > params.code.max_units:
            raise LexivertError(
                f"robustness.lengths: texts of {length} to {length + LENGTH_SPAN} units are longer than "
                f"code.max_units, {params.code.max_units}"
            )


def _check_widths(params: Params, order_width: int) -> None:
    for width in params.robustness.widths:
        if width > order_width:
            raise LexivertError(
                f"robustness.widths: {width} is wider than the order part, which code.embed_dim "
                f"{params.code.embed_dim} leaves {order_width} dimensions"
            )
