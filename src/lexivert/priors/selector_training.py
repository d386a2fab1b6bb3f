"""Trains the Selector as a language model of half-known texts: first bags of words, then full contexts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lexivert.config import STEP_UNIT, SelectorParams
from lexivert.devices import choose_dtype
from lexivert.priors.selector import Selector, SelectorPrior, UnitEmbeddings
from lexivert.priors.selector_data import SelectorBatch, SelectorTexts, draw_batch
from lexivert.training.checkpoint import Checkpoint
from lexivert.training.collapse import CollapseAlarm, CollapseRules
from lexivert.training.loop import History, LoopConfig, Progress, train
from lexivert.training.partition import log_partition
from lexivert.training.sampled_softmax import ImportanceSample

STEPS_A_POINT = STEP_UNIT
"""Optimiser steps averaged into one point of the curves."""
_ALWAYS = 2048  # most probable units, negatives of every step
_DRAWN = 2048  # further negatives a step, drawn from the rest
_SIMILARITY = 1.0
"""Factor of the first logits. A unit's begins at about 20 times the cosine of its feature with the prefix: both are
scaled to length 8 (``_PREFIX_SCALE``), and 192 rows of a projection of deviation .04 leave .3 of a product."""
_PRETRAINING_PATIENCE = 100  # steps: measured, the first phase is over after ten


class BagOfWordsStep:
    """A batch to the cross-entropy of its words given the prefix, wherever they stand, over all units.

    One distribution serves a text, so that nothing needs to be sampled.

    Args:
        selector: to be trained.
        space: unit vectors, trained with it.
        params: weights of the losses.
        dtype: that products over all units are computed in.
    """

    def __init__(
        self, selector: Selector, space: UnitEmbeddings, params: SelectorParams, dtype: torch.dtype = torch.float32
    ) -> None:
        self.selector = selector
        self.space = space
        self.params = params
        self.dtype = dtype
        self._features = space.features.to(dtype)
        # The first steps draw all queries the same way, towards what is frequent: no reason to warn or to stop.
        rules = CollapseRules(warn_from=0.95, patience=_PRETRAINING_PATIENCE)
        advice = "lower selector.bag_of_words.learning_rate or selector.weight.partition"
        self.alarm = CollapseAlarm("the bag-of-words network's queries", advice, rules)

    def __call__(self, batch: SelectorBatch, progress: Progress) -> Mapping[str, Tensor]:
        """Return ``loss`` and its components."""
        del progress
        batch = batch.to(self.space.bias.device)
        inside = batch.truth >= 0
        queries = self.selector.bag_of_words_query(batch.belief)
        partition = self.space.log_partition(queries, self._features)
        units, places = batch.truth[inside].unique(return_inverse=True)  # type: ignore[no-untyped-call]
        texts = inside.nonzero()[:, 0]
        own = (queries[texts] * F.embedding(places, self.space(units))).sum(dim=1)
        own = own + F.embedding(places, self.space.bias[units, None])[:, 0]
        infonce = (partition[texts] - own).mean()
        parts = _components(self.selector, batch, infonce, partition, self.params)
        return parts | {"anisotropy": self.alarm(queries)}


class SelectorStep:
    """A batch to the losses.

    Args:
        selector: to be trained.
        space: unit vectors, trained with it.
        log_prior: log unigram probability. Shape: (V,).
        params: weights of the losses.
        dtype: that products with negatives are computed in.
        always: so many most probable units are negatives of every step.
        drawn: further negatives a step, drawn from the rest.
    """

    def __init__(
        self,
        selector: Selector,
        space: UnitEmbeddings,
        log_prior: Tensor,
        params: SelectorParams,
        dtype: torch.dtype = torch.float32,
        *,
        always: int = _ALWAYS,
        drawn: int = _DRAWN,
    ) -> None:
        self.selector = selector
        self.space = space
        self.params = params
        self.dtype = dtype
        self._sample = ImportanceSample(log_prior.to(space.bias.device), always, drawn)
        self.alarm = CollapseAlarm(
            "the Selector's queries", "lower selector.learning_rate or selector.weight.partition"
        )

    def __call__(self, batch: SelectorBatch, progress: Progress) -> Mapping[str, Tensor]:
        """Return ``loss`` and its components.

        InfoNCE (van den Oord et al. 2018) of the right unit against negatives that are shared by the batch; each
        weighs as many units as it stands for, so that this is the cross-entropy over all units, in nats.
        """
        del progress
        device = self.space.bias.device
        with torch.autocast(device.type, self.dtype, enabled=self.dtype != torch.float32):
            return self._losses(batch.to(device))

    def _losses(self, batch: SelectorBatch) -> dict[str, Tensor]:
        inside = batch.truth >= 0
        truth = batch.truth[inside]
        negatives, times = self._sample.draw()
        seen = batch.belief.units.clamp_min(0)
        wanted, places = torch.cat((negatives, truth, seen.flatten())).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        vectors = F.embedding(places, self.space(wanted))
        sizes = [len(negatives), len(truth), seen.numel()]
        others, own, expected = torch.split(vectors, sizes)
        queries = self.selector(batch.belief, expected.view(*seen.shape, -1))[inside].float()
        own_logits = (queries * own).sum(dim=1) + self.space.bias[truth]
        column = negatives.new_full(self.space.bias.shape, -1)
        column[negatives] = torch.arange(len(negatives), device=column.device)
        bias = self.space.bias[negatives] + times.log()
        elsewhere = log_partition(queries, others, bias, self.dtype, column[truth])
        partition = torch.logaddexp(elsewhere, own_logits)
        parts = _components(self.selector, batch, (partition - own_logits).mean(), partition, self.params)
        return parts | {"anisotropy": self.alarm(queries)}


def _components(
    selector: Selector, batch: SelectorBatch, infonce: Tensor, partition: Tensor, params: SelectorParams
) -> dict[str, Tensor]:
    """Add the loss of the lengths, and what keeps the log partition functions near 0."""
    length = F.cross_entropy(selector.length_logits(batch.belief), batch.belief.length)
    scale, weight = partition.square().mean(), params.weight
    loss = weight.infonce * infonce + weight.length * length + weight.partition * scale
    return {"loss": loss, "infonce": infonce, "length": length, "partition": scale}


@dataclass(frozen=True)
class SelectorBatches:
    """The batch of an epoch and a number, the same whenever it is asked for.

    Attributes:
        texts: sentences to draw from.
        by_length: their rows, shortest first. Shape: (texts,).
        unigram: cumulated unit probabilities. Shape: (V,).
        params: lengths and noise.
        batch_size: texts a batch.
        seed: of the draw.
    """

    texts: SelectorTexts
    by_length: np.ndarray[tuple[int], np.dtype[np.int64]]
    unigram: Tensor
    params: SelectorParams
    batch_size: int
    seed: int

    @classmethod
    def of(
        cls, texts: SelectorTexts, log_prior: Tensor, params: SelectorParams, batch_size: int, seed: int
    ) -> SelectorBatches:
        """Sort the texts by length."""
        lengths = np.array([len(units) for units in texts.written.units])
        by_length = np.argsort(lengths, kind="stable")
        return cls(texts, by_length, log_prior.exp().cumsum(dim=0), params, batch_size, seed)

    def __call__(self, epoch: int, batch: int) -> SelectorBatch:
        """Draw the batch."""
        rng = np.random.default_rng((self.seed, epoch, batch))
        shape = (self.batch_size, self.params.max_train_units)
        return draw_batch(self.texts, self.by_length, shape, self.params.min_prefix_cosine, self.unigram, rng)


def train_selector(
    selector: Selector,
    space: UnitEmbeddings,
    texts: SelectorTexts,
    log_prior: Tensor,
    params: SelectorParams,
    seed: int,
    checkpoints: tuple[Checkpoint | None, Checkpoint | None] = (None, None),
) -> tuple[SelectorPrior, History]:
    """Train the Selector in place, first on bags of words and then on full contexts.

    The bag-of-words network stays as it is in the second phase, whose sampled losses would wear it off; unit vectors
    and biases go on learning.

    Args:
        selector: untrained.
        space: untrained unit vectors; used up.
        texts: training sentences.
        log_prior: log unigram probability. Shape: (V,).
        params: numbers of the run.
        seed: of initial draws and batches.
        checkpoints: resumable state of either phase.

    Returns:
        The Selector with its unit vectors, and the mean of every component over each ``STEPS_A_POINT`` steps.
    """
    begin_with_similarity(selector, space)
    modules: dict[str, nn.Module] = {"selector": selector.train(), "space": space}
    bags = SelectorBatches.of(texts, log_prior, params, params.bag_of_words.batch_size, seed)
    config = _config(params, params.bag_of_words.steps, params.bag_of_words.learning_rate, seed)
    dtype = choose_dtype("auto", space.bias.device)
    history = train(
        BagOfWordsStep(selector, space, params, dtype), modules, bags, config, checkpoints[0], "bag of words"
    )
    selector.bag_of_words.requires_grad_(requires_grad=False)
    step = SelectorStep(selector, space, log_prior, params, dtype)
    contexts = SelectorBatches.of(texts, log_prior, params, params.batch_size, seed + 1)
    config = _config(params, params.steps, params.learning_rate, seed)
    history += train(step, modules, contexts, config, checkpoints[1], "selector")
    selector.eval().requires_grad_()
    with torch.no_grad():
        everything = torch.arange(len(space.bias), device=space.bias.device)
        return SelectorPrior.of(selector, space(everything), space.bias), history


def begin_with_similarity(selector: Selector, space: UnitEmbeddings) -> None:
    """Make the bag-of-words network begin as a linear map: the nearer a unit is to the prefix, the likelier.

    Prefix and unit features are of one space, so a random projection of both keeps their cosines (Johnson &
    Lindenstrauss 1984), and ``gelu(x) - gelu(-x) = x`` makes two layers linear. Begun from 0 instead, the phase
    needs twice as many steps.

    Args:
        selector: untrained; changed in place.
        space: untrained unit vectors.
    """
    first, bias, last, _ = selector.bag_of_words.parameters()
    project = space.project.weight[: len(first) // 2, : first.shape[1] - 1]
    height, width = project.shape
    with torch.no_grad():
        for half, sign in enumerate((1.0, -1.0)):
            rows = slice(half * height, (half + 1) * height)
            first[rows] = F.pad(sign * project, (0, first.shape[1] - width))
            last[:height, rows] = sign * _SIMILARITY * torch.eye(height, device=last.device)
        bias[: 2 * height] = 0.0


def _config(params: SelectorParams, steps: int, rate: float, seed: int) -> LoopConfig:
    return LoopConfig(
        epochs=steps // STEPS_A_POINT,
        batches=STEPS_A_POINT,
        learning_rate=rate,
        weight_decay=params.weight_decay,
        warmup_share=params.warmup_share,
        clip_norm=params.clip_norm,
        seed=seed,
    )
