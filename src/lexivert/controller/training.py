"""Trains Selector and Placer on composed targets: InfoNCE over retrieved candidates, moment and variance terms."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexivert.controller.proposal import Proposer, placement, score, see, window_fit
from lexivert.controller.sampling import Example, Texts, draw_texts, half_decoded
from lexivert.controller.selector import Intention
from lexivert.lexicon.units import END
from lexivert.params import STEP_UNIT, ControllerParams
from lexivert.training.checkpoint import Checkpoint
from lexivert.training.loop import History, LoopConfig, Progress, train
from lexivert.training.losses import moment_matching, variance_floor

logger = logging.getLogger(__name__)

STEPS_A_POINT = STEP_UNIT
"""Optimiser steps averaged into one point of the curves."""
_FULL_SEARCHES = 0.15  # share of positions whose candidates come from the whole index
_VALIDATION_BATCHES = 8


@dataclass(frozen=True)
class ExampleBatches:
    """Batch of an epoch and a number, the same whenever it is asked for.

    Attributes:
        texts: sentences to draw from.
        proposer: gives codes and rotations.
        params: lengths, noise and batch size.
        seed: of the draw.
    """

    texts: Texts
    proposer: Proposer
    params: ControllerParams
    seed: int

    def __call__(self, epoch: int, batch: int) -> Example:
        """Compose the example."""
        rng = np.random.default_rng((self.seed, epoch, batch))
        units, semantic = draw_texts(self.texts, self.params.batch_size, self.params.max_train_units, rng)
        return half_decoded(units, semantic, self.params.min_noise_cosine, self.proposer.language, rng)


class ControllerStep:
    """One batch to losses.

    Args:
        proposer: Selector, Placer, index.
        params: weights of the losses.
    """

    def __init__(self, proposer: Proposer, params: ControllerParams) -> None:
        self.proposer = proposer
        self.params = params

    def __call__(self, example: Example, progress: Progress) -> Mapping[str, Tensor]:
        """Return ``loss`` and its components."""
        del progress
        language, rows = self.proposer.language, torch.arange(len(example.target))
        n = max(int(example.buffer.length.max()), 1)
        asked = example.buffer.open()[:, :n]
        slots = see(example.buffer, rows, example.channel, example.semantic, asked, language)
        where = asked.nonzero(as_tuple=True)
        truth = example.truth[where]
        intention = self.proposer.selector(slots)
        quick = torch.rand(len(truth)) >= _FULL_SEARCHES
        with torch.no_grad():
            _, units = self.proposer.retrieve(intention, quick, slots.variance[where[0]])
        products = torch.einsum("mo,mko->mk", intention.raw, language.codes[units].float())
        infonce = self._infonce(intention, units, products, truth, example)
        with torch.no_grad():
            posterior = score(intention, units, products, self.proposer.prior, quick)
        fits = window_fit(example.buffer, rows, example.channel, example.target)
        seen = placement(slots, fits, units, products.detach(), posterior, language.log_prior)
        right = (units == truth[:, None]).float()
        placer = F.binary_cross_entropy_with_logits(self.proposer.placer(seen), right)
        moment, variance = self._moments(intention, slots.variance[where[0]], truth)
        weight = self.params.weight
        loss = weight.infonce * infonce + weight.placer * placer + weight.moment * moment + weight.variance * variance
        return {"loss": loss, "infonce": infonce, "placer": placer, "moment": moment, "variance": variance}

    def _infonce(
        self, intention: Intention, units: Tensor, products: Tensor, truth: Tensor, example: Example
    ) -> Tensor:
        """Cross-entropy of the right unit against the retrieved candidates and a sample of all others.

        The retrieved ones are the hard negatives. What the rest of the lexicon adds to the partition function is
        estimated from the batch's own units, which are draws from the unigram distribution (importance sampling;
        Bengio & Senécal 2008): each stands for ``1 / p(u)`` of the sample.
        """
        language = self.proposer.language
        bias = intention.prior_weight * language.log_prior
        own = (intention.raw * language.codes[truth].float()).sum(dim=1) + bias[truth]
        elsewhere = (units == truth[:, None]) | (units < 0)  # FAISS fills short answers up with -1
        retrieved = (products + bias[units]).masked_fill(elsewhere, -torch.inf)
        drawn = example.truth[example.truth > END]
        sample = intention.raw @ language.codes[drawn].float().T + (bias - language.log_prior)[drawn]
        counted = (drawn[None, :, None] == units[:, None, :]).any(dim=2) | (drawn[None, :] == truth[:, None])
        sample = sample.masked_fill(counted, -torch.inf) - float(np.log(max(len(drawn), 1)))
        everything = torch.cat((own[:, None], retrieved, sample), dim=1)
        return (torch.logsumexp(everything, dim=1) - own).mean()

    def _moments(self, intention: Intention, variance: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
        """Moments of the raw output, brought to the codes' scale, against theirs; variance of the normalised one.

        Both are counted in units of ``1 / sqrt(O)``, a code's own deviation per dimension.
        """
        if len(truth) < 2:
            return variance.new_zeros(()), variance.new_zeros(())
        width = intention.raw.shape[1]
        shrink = variance / (1.0 + variance * width)
        estimate = intention.raw * (shrink * width**0.5)[:, None]
        codes = self.proposer.language.codes[truth].float() * width**0.5
        return moment_matching(estimate, codes), variance_floor(intention.normalised * width**0.5, 1.0)


def train_controller(
    proposer: Proposer,
    texts: Texts,
    params: ControllerParams,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train Selector and Placer in place.

    Args:
        proposer: untrained Selector and Placer with the index they will work on.
        texts: training sentences.
        params: numbers of the run.
        seed: of initial draws and batches.
        checkpoint: resumable state.

    Returns:
        Mean of every component over each ``STEPS_A_POINT`` steps.
    """
    config = LoopConfig(
        epochs=params.steps // STEPS_A_POINT,
        batches=STEPS_A_POINT,
        learning_rate=params.learning_rate,
        weight_decay=params.weight_decay,
        warmup_share=params.warmup_share,
        clip_norm=params.clip_norm,
        seed=seed,
    )
    modules: dict[str, nn.Module] = {"selector": proposer.selector.train(), "placer": proposer.placer.train()}
    batches = ExampleBatches(texts, proposer, params, seed)
    history = train(ControllerStep(proposer, params), modules, batches, config, checkpoint, "controller")
    for module in modules.values():
        module.eval()
    return history


@torch.no_grad()
def validate(proposer: Proposer, texts: Texts, params: ControllerParams, seed: int) -> dict[str, float]:
    """Mean of every loss over fixed batches of validation sentences."""
    batches = ExampleBatches(texts, proposer, params, seed)
    step = ControllerStep(proposer, params)
    torch.manual_seed(seed)
    sums: dict[str, float] = {}
    for number in range(_VALIDATION_BATCHES):
        for name, value in step(batches(0, number), Progress(0, 0, 0.0, 0.0)).items():
            sums[name] = sums.get(name, 0.0) + float(value) / _VALIDATION_BATCHES
    return sums
