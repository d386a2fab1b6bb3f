"""What reads vectors back, by name: the public API, the registry's decoding algorithms, and retrieval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from lexivert.controller.base import Parts
from lexivert.controller.observation import Observation
from lexivert.controller.registry import DECODERS
from lexivert.model import Lexivert, Reading

T = TypeVar("T")
Units = list[list[int]]
"""Unit ids of some texts, EOS not included."""
Decode = Callable[[Tensor, Tensor], Units]
"""Order parts (B, O) and semantic prefixes (B, S) to B texts."""

NEAREST_SENTENCE = "nearest_sentence"
_LABELS = {NEAREST_SENTENCE: "nearest training sentence"}  # retrieval: it decodes nothing, so no registry has it


def label_of(name: str) -> str:
    """A decoder's name in tables and figures."""
    return _LABELS.get(name) or DECODERS[name].label


def decoder_named(name: str, parts: Parts) -> Decode:
    """An algorithm of the registry, made of some parts.

    Raises:
        LexivertError: the registry has none of this name.
    """
    algorithm = DECODERS.make(name)(parts)
    device = parts.codebook.device

    def decode(order: Tensor, prefixes: Tensor) -> Units:
        return algorithm.decode(Observation.of(order.to(device), prefixes.to(device))).units

    return decode


def unit_ids(model: Lexivert, readings: Sequence[Reading]) -> Units:
    """Unit ids of texts that the public API has read back."""
    id_of = model.encoder.segmenter.lexicon.id_of
    return [[id_of[surface] for surface in reading.units] for reading in readings]


def in_batches(decode: Callable[..., Sequence[T]], inputs: Sequence[Tensor], batch: int, label: str) -> list[T]:
    """Decode any number of vectors, with a progress bar.

    Args:
        decode: takes a batch of each input.
        inputs: B rows each.
        batch: rows at a time.
        label: of the bar.
    """
    found: list[T] = []
    with tqdm(total=len(inputs[0]), desc=label, unit="text", mininterval=1.0) as bar:
        for parts in zip(*(torch.split(rows, batch) for rows in inputs), strict=True):
            found += decode(*parts)
            bar.update(len(parts[0]))
    return found
