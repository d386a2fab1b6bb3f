"""Trains a language model and its soft prompt on sentences and their embeddings, some of them noisy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lexivert.codes.corruption import add_noise, training_cosines
from lexivert.config import STEP_UNIT
from lexivert.devices import choose_dtype
from lexivert.generation.params import SoftPromptParams
from lexivert.generation.soft_prompt import PromptedModel
from lexivert.priors.selector_data import padded
from lexivert.training.checkpoint import Checkpoint
from lexivert.training.loop import History, LoopConfig, Progress, train

STEPS_A_POINT = STEP_UNIT
"""Optimiser steps averaged into one point of the curves."""


@dataclass(frozen=True)
class PromptedTexts:
    """A batch: embeddings and the tokens of their texts, see ``PromptedModel.forward``."""

    prefix: Tensor
    tokens: Tensor
    length: Tensor


class PromptedBatches:
    """The batch of an epoch and a number, the same whenever it is asked for: texts of nearly one length.

    Args:
        tokens: of each training text, its end included.
        prefixes: their embeddings, unit length. Shape: (texts, S).
        params: batch size and noise.
        seed: of the draws.
    """

    def __init__(
        self, tokens: Sequence[Sequence[int]], prefixes: Tensor, params: SoftPromptParams, seed: int
    ) -> None:
        self.tokens, self.prefixes, self.params, self.seed = tokens, prefixes, params, seed
        self._by_length = np.argsort([len(own) for own in tokens], kind="stable")

    def __call__(self, epoch: int, batch: int) -> PromptedTexts:
        """Draw the batch."""
        rng = np.random.default_rng((self.seed, epoch, batch))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        count = min(self.params.batch_size, len(self.tokens))
        first = int(rng.integers(len(self.tokens) - count + 1))
        rows = self._by_length[first : first + count]
        cosine = training_cosines(count, self.params.min_prefix_cosine, rng)
        tokens, length = padded([self.tokens[row] for row in rows])
        return PromptedTexts(add_noise(self.prefixes[rows], cosine, generator), tokens.clamp_min(0), length)


class PromptedStep:
    """A batch to the cross-entropy of its tokens.

    Args:
        prompted: to be trained.
        dtype: that it is computed in; weights stay float32.
    """

    def __init__(self, prompted: PromptedModel, dtype: torch.dtype) -> None:
        self.prompted, self.dtype = prompted, dtype

    def __call__(self, batch: PromptedTexts, progress: Progress) -> Mapping[str, Tensor]:
        """Return ``loss``, in nats a token."""
        del progress
        device = self.prompted.device
        given = (part.to(device) for part in (batch.prefix, batch.tokens, batch.length))
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            return {"loss": self.prompted(*given)}


def train_soft_prompt(
    prompted: PromptedModel,
    tokens: Sequence[Sequence[int]],
    prefixes: Tensor,
    params: SoftPromptParams,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train prompt and language model in place.

    Args:
        prompted: in float32, on the device to train on.
        tokens: of each training text, its end included.
        prefixes: their embeddings, unit length. Shape: (texts, S).
        params: numbers of the run.
        seed: of batches and draws.
        checkpoint: resumable state.

    Returns:
        Mean of the loss over each ``STEPS_A_POINT`` steps.
    """
    step = PromptedStep(prompted.train().requires_grad_(), choose_dtype("auto", prompted.device))
    batches = PromptedBatches(tokens, prefixes, params, seed)
    config = LoopConfig.of_steps(params, STEPS_A_POINT, seed)
    history = train(step, {"prompted": prompted}, batches, config, checkpoint, "soft prompt")
    prompted.eval()
    return history
