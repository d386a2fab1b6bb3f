"""Training targets for the controller: real text, composed exactly, made noisy and partly decoded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.controller.buffer import Buffer
from lexivert.controller.channel import Channel, observe
from lexivert.controller.proposal import Language
from lexivert.encoder.composition import superpose

_WRONG_COMMITS = 0.02  # share of committed units that training states get wrong, as decoding sometimes does
_CLEAN_SHARE = 0.25  # share of training vectors without noise


@dataclass(frozen=True)
class Texts:
    """Segmented sentences with their semantic prefixes.

    Attributes:
        units: T lists of unit ids.
        semantic: normalised backbone embeddings. Shape: (T, S) float16.
    """

    units: Sequence[Sequence[int]]
    semantic: npt.NDArray[np.float16]

    def __len__(self) -> int:
        return len(self.units)


@dataclass(frozen=True)
class Example:
    """A batch of half-decoded vectors.

    Attributes:
        truth: right unit of every position, END at its own, -1 beyond. Shape: (B, P).
        target: noisy order part. Shape: (B, O).
        semantic: noisy semantic prefix. Shape: (B, S).
        buffer: what is committed.
        channel: what is known exactly.
    """

    truth: Tensor
    target: Tensor
    semantic: Tensor
    buffer: Buffer
    channel: Channel


def draw_texts(texts: Texts, batch: int, max_units: int, rng: np.random.Generator) -> tuple[list[list[int]], Tensor]:
    """Draw sentences; half of the batch chains neighbours up to a random length, so that long texts are seen too.

    Mean pooling makes the prefix of a chain the length-weighted mean of its sentences', which is what is returned.

    Shape: B lists of 1 to ``max_units`` unit ids, and (B, S).
    """
    chosen, prefixes = [], []
    for row in range(batch):
        start = int(rng.integers(len(texts)))
        wanted = int(rng.integers(1, max_units + 1)) if row % 2 else 1
        units = list(texts.units[start])
        prefix = texts.semantic[start].astype(np.float32) * len(units)
        following = start + 1
        while len(units) < wanted and following < len(texts):
            units += texts.units[following]
            prefix += texts.semantic[following].astype(np.float32) * len(texts.units[following])
            following += 1
        chosen.append(units[:max_units])
        prefixes.append(prefix)
    return chosen, F.normalize(torch.from_numpy(np.stack(prefixes)), dim=-1)


def add_noise(vectors: Tensor, cosine: Tensor, generator: torch.Generator) -> Tensor:
    """Turn unit vectors by a random direction to a given cosine.

    Shape: vectors (B, W) of unit length, cosine (B,), result (B, W) of unit length.
    """
    noise = torch.randn(vectors.shape, generator=generator)
    noise = F.normalize(noise - (noise * vectors).sum(dim=1, keepdim=True) * vectors, dim=-1)
    return cosine[:, None] * vectors + torch.sqrt(1.0 - cosine.square())[:, None] * noise


def half_decoded(
    units: Sequence[Sequence[int]], semantic: Tensor, min_cosine: float, language: Language, rng: np.random.Generator
) -> Example:
    """Compose vectors, add noise of a random strength and commit a random part of each text.

    Args:
        units: B texts.
        semantic: their prefixes. Shape: (B, S).
        min_cosine: of the noisiest vector with the clean one.
        language: codes and rotations.
        rng: source of everything random.
    """
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    batch = len(units)
    cosine = torch.from_numpy(rng.uniform(min_cosine, 1.0, batch).astype(np.float32))
    cosine[torch.from_numpy(rng.random(batch) < _CLEAN_SHARE)] = 1.0
    clean = F.normalize(superpose(units, language.codes, language.binding), dim=-1)
    target = add_noise(clean, cosine, generator)
    length = torch.tensor([len(text) for text in units])
    buffer = Buffer(length, language.codes, language.binding)
    truth = buffer.units.clone()
    for row, text in enumerate(units):
        truth[row, : len(text)] = torch.tensor(text)
    _commit_some(buffer, truth, generator)
    channel = observe(target, buffer.total, length, buffer.known_energy(), buffer.complete())
    return Example(truth, target, add_noise(semantic, cosine, generator), buffer, channel)


def _commit_some(buffer: Buffer, truth: Tensor, generator: torch.Generator) -> None:
    """Commit a random share of each text, from nothing to nearly all; a few of the commits are wrong."""
    shape = buffer.units.shape
    share = (torch.rand(len(truth), generator=generator) * 1.4 - 0.4).clamp(0.0, 0.95)
    rows, positions = ((torch.rand(shape, generator=generator) < share[:, None]) & buffer.inside()).nonzero(
        as_tuple=True
    )
    units = truth[rows, positions]
    wrong = torch.rand(len(units), generator=generator) < _WRONG_COMMITS
    units[wrong] = units[torch.randperm(len(units), generator=generator)][wrong]
    buffer.put(rows, positions, units, torch.ones(len(units)))
