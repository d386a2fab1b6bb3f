"""Trains the Selector and the Placer of the insertion loop on insertion orders of real sentences."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.config import STEP_UNIT
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.devices import choose_dtype
from lexivert.generation.expectations import Seen, Targets
from lexivert.generation.insertion_data import InsertionBatch, InsertionBatches
from lexivert.generation.insertion_networks import InsertionNetworks
from lexivert.generation.params import SelectorPlacerParams
from lexivert.priors.base import Prior
from lexivert.search.output_layer import OutputLayer
from lexivert.text.lexicon import NEVER
from lexivert.training.checkpoint import Checkpoint
from lexivert.training.loop import History, LoopConfig, Progress, train
from lexivert.training.partition import log_partition
from lexivert.training.sampled_softmax import ImportanceSample

STEPS_A_POINT = STEP_UNIT
"""Optimiser steps averaged into one point of the curves."""


class InsertionStep:
    """A batch to the losses; the prior's unit vectors and biases stay as they are.

    Args:
        networks: to be trained.
        prior: over units.
        log_prior: log unigram probability. Shape: (V,).
        params: weights of the losses.
        dtype: that the networks and the products with negatives are computed in.
    """

    def __init__(
        self,
        networks: InsertionNetworks,
        prior: Prior,
        log_prior: Tensor,
        params: SelectorPlacerParams,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.networks, self.prior, self.params, self.dtype = networks, prior, params, dtype
        self._sample = ImportanceSample(log_prior.to(prior.output.bias.device), params.always, params.drawn)

    def __call__(self, batch: InsertionBatch, progress: Progress) -> Mapping[str, Tensor]:
        """Return ``loss`` and its components.

        ``selection`` and ``placement`` are cross-entropies in nats: of the next unit wherever it goes, and of the
        next pair of unit and slot. ``open`` and ``wrong`` are binary ones, a slot and a unit of the buffer each.
        """
        del progress
        layer, weight = self.prior.output, self.params.weight
        batch = batch.to(layer.bias.device)
        inside = batch.units >= 0
        with torch.no_grad():
            targets = Targets.of(self.prior, batch.prefix, self.networks.sizes.positions)
            seen = Seen.of(self.prior, targets, batch.units, batch.length)
        with torch.autocast(batch.prefix.device.type, self.dtype, enabled=self.dtype != torch.float32):
            intention, placed = self.networks(seen)
        sample = self._sample.draw()
        anywhere = torch.zeros_like(batch.slots)
        selection = cross_entropy(
            layer, sample, (intention[:, None], torch.zeros_like(intention[:, :1])), (batch, anywhere), self.dtype
        )
        placement = cross_entropy(layer, sample, (placed.queries, placed.slots), (batch, batch.slots), self.dtype)
        is_open = torch.zeros_like(placed.open).index_put_((batch.rows, batch.slots), placed.open.new_tensor(1.0))
        known = placed.open > NEVER
        opened = F.binary_cross_entropy_with_logits(placed.open[known], is_open[known])
        wrong = placed.wrong[inside]
        doubt = F.binary_cross_entropy_with_logits(wrong, batch.wrong[inside].float()) if len(wrong) else opened * 0.0
        loss = weight.selection * selection + weight.placement * placement + weight.open * opened
        parts = {"selection": selection, "placement": placement, "open": opened, "wrong": doubt}
        return {"loss": loss + weight.wrong * doubt, **parts}


def cross_entropy(
    layer: OutputLayer,
    sample: tuple[Tensor, Tensor],
    asked: tuple[Tensor, Tensor],
    wanted: tuple[InsertionBatch, Tensor],
    dtype: torch.dtype,
) -> Tensor:
    """Cross-entropy of missing units and their slots, among all units and all slots of a buffer.

    The partition function is summed over an importance sample, but exactly over all units that the buffer lacks, in
    every slot.

    Args:
        layer: unit vectors and biases.
        sample: negatives and how many units each stands for. Shape: two (P,).
        asked: queries (B, Q, E) and log weights (B, Q) of slots, ``NEVER`` where there is none.
        wanted: the batch, and the slot of each missing unit (M,).
        dtype: that products are computed in.

    Returns:
        Mean over the buffers that lack something; 0 if none does.
    """
    (queries, slots), (batch, places) = asked, wanted
    keys, inverse = (batch.rows * len(layer) + batch.missing).unique(return_inverse=True)  # type: ignore[no-untyped-call]
    if not len(keys):
        return queries.sum() * 0.0
    rows, units = keys // len(layer), keys % len(layer)
    own = (
        torch.bmm(queries[rows], layer.weight[units][:, :, None])[:, :, 0] + layer.bias[units][:, None] + slots[rows]
    )
    nth = torch.arange(len(rows), device=rows.device) - torch.searchsorted(rows, rows)
    shape = (len(queries), int(nth.max()) + 1)
    excluded = rows.new_full(shape, -1).index_put_((rows, nth), units)
    known = own.new_full((*shape, slots.shape[1]), NEVER).index_put_((rows, nth), own)
    elsewhere = _log_partition_without(layer, sample, queries, slots, excluded, dtype)
    partition = torch.logaddexp(elsewhere, known.flatten(1).logsumexp(dim=1))
    logp = own[inverse, places] - partition[batch.rows]
    return -(batch.weights * logp).sum() / int((nth == 0).sum())


def _log_partition_without(
    layer: OutputLayer,
    sample: tuple[Tensor, Tensor],
    queries: Tensor,
    slots: Tensor,
    excluded: Tensor,
    dtype: torch.dtype,
) -> Tensor:
    """Log partition functions over the negatives in all slots, but for the units that each buffer lacks.

    Shape: queries (B, Q, E), slots (B, Q), excluded (B, L) units or -1, result (B,).
    """
    negatives, times = sample
    column = negatives.new_full((len(layer) + 1,), -1)
    column[negatives] = torch.arange(len(negatives), device=column.device)
    texts, places = (slots > NEVER / 2).nonzero(as_tuple=True)
    vectors, bias = layer.weight[negatives], layer.bias[negatives] + times.log()
    found = log_partition(queries[texts, places], vectors, bias, dtype, column[excluded][texts])
    total = found + slots[texts, places]
    return slots.new_full(slots.shape, NEVER).index_put_((texts, places), total).logsumexp(dim=1)


def train_insertions(
    networks: InsertionNetworks,
    prior: Prior,
    texts: EncodedTexts,
    log_prior: Tensor,
    params: SelectorPlacerParams,
    seed: int,
    checkpoint: Checkpoint | None = None,
) -> History:
    """Train the networks in place.

    Args:
        networks: untrained, on the prior's device.
        prior: over units; not changed.
        texts: training sentences.
        log_prior: log unigram probability. Shape: (V,).
        params: numbers of the run.
        seed: of batches and draws.
        checkpoint: resumable state.

    Returns:
        The mean of every component over each ``STEPS_A_POINT`` steps.
    """
    dtype = choose_dtype("auto", prior.output.bias.device)
    step = InsertionStep(networks.train(), prior, log_prior, params, dtype)
    batches = InsertionBatches(texts, prior, log_prior, networks.sizes.positions, params, seed)
    config = LoopConfig.of_steps(params, STEPS_A_POINT, seed)
    history = train(step, {"networks": networks}, batches, config, checkpoint, "Selector and Placer")
    networks.eval()
    return history
