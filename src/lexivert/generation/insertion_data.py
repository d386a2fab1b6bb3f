"""Training batches of the insertion loop: sentences of which a part stands in the buffer, with noisy targets."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from lexivert.codes.corruption import add_noise, training_cosines
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.generation.expectations import Targets
from lexivert.generation.insertion_orders import PartialText, disturbed, insertion_order, partial_text
from lexivert.generation.params import SelectorPlacerParams
from lexivert.priors.base import Prior
from lexivert.priors.selector_data import padded

_COMPLETE = 0.15  # share of the texts that are complete, so that stopping is learned
_DISTURBED = 0.5  # share of the texts with wrong units in the buffer
_WRONG = 4  # most intruders of a text; as many may be moved
_PLAUSIBLE = 8192  # most probable units, among which intruders are drawn by what the prior makes of the target
_LONGER = 0.5  # power of the uniform draw that chooses a batch's place among the lengths: long ones more often


@dataclass(frozen=True)
class InsertionBatch:
    """Buffers, their targets, and what should be done about them.

    Attributes:
        units: of the buffers, -1 beyond. Shape: (B, N).
        length: units in each buffer. Shape: (B,).
        prefix: target embeddings, unit length, some of them noisy. Shape: (B, S).
        wrong: whether a unit does not belong where it stands. Shape: (B, N).
        rows: buffer of each of the M missing units. Shape: (M,).
        missing: the units. Shape: (M,).
        slots: units of the buffer before each. Shape: (M,).
        weights: those of a buffer sum to 1. Shape: (M,).
    """

    units: Tensor
    length: Tensor
    prefix: Tensor
    wrong: Tensor
    rows: Tensor
    missing: Tensor
    slots: Tensor
    weights: Tensor

    @classmethod
    def of(cls, texts: list[PartialText], prefix: Tensor) -> InsertionBatch:
        """Collect partial texts, whose targets are ``prefix`` (B, S)."""
        units, length = padded([[placed.unit for placed in text.buffer] for text in texts])
        wrong = torch.zeros_like(units, dtype=torch.bool)
        for row, text in enumerate(texts):
            own = [placed.position is None for placed in text.buffer]
            wrong[row, : len(own)] = torch.tensor(own, dtype=torch.bool, device="cpu")
        listed = [(row, *insertion) for row, text in enumerate(texts) for insertion in text.missing]
        rows, missing, slots, weights = zip(*listed, strict=True) if listed else ((), (), (), ())
        ids = torch.tensor((rows, missing, slots), dtype=torch.int64, device="cpu")
        shares = torch.tensor(weights, dtype=torch.float32, device="cpu")
        return cls(units, length, prefix, wrong, ids[0], ids[1], ids[2], shares)

    def to(self, device: torch.device) -> InsertionBatch:
        """The same batch on a device."""
        return InsertionBatch(*(getattr(self, field.name).to(device) for field in fields(self)))


class InsertionBatches:
    """The batch of an epoch and a number, the same whenever it is asked for.

    Args:
        texts: sentences to draw from, with targets.
        prior: over units; intruders are what it expects for the target.
        log_prior: log unigram probability of every unit. Shape: (V,).
        positions: lengths that the prior knows.
        params: sizes and noise.
        seed: of the draws.
    """

    def __init__(
        self,
        texts: EncodedTexts,
        prior: Prior,
        log_prior: Tensor,
        positions: int,
        params: SelectorPlacerParams,
        seed: int,
    ) -> None:
        self.texts, self.prior, self.positions, self.params, self.seed = texts, prior, positions, params, seed
        self._surprisal = -log_prior.cpu().numpy()
        self._by_length = np.argsort([len(units) for units in texts.units], kind="stable")
        self._plausible = log_prior.topk(min(_PLAUSIBLE, len(log_prior))).indices.to(prior.output.bias.device)

    def __call__(self, epoch: int, batch: int) -> InsertionBatch:
        """Draw the batch: texts of nearly one length, a random share of each of which is there."""
        rng = np.random.default_rng((self.seed, epoch, batch))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        count = min(self.params.batch_size, len(self.texts))
        first = int((len(self.texts) - count + 1) * rng.random() ** _LONGER)
        chosen = self.texts.only(self._by_length[first : first + count].tolist())
        cosine = training_cosines(count, self.params.min_prefix_cosine, rng)
        prefix = add_noise(chosen.prefixes, cosine, generator)
        intruders = self._intruders(chosen, generator)
        texts = [self._partial(units, own, rng) for units, own in zip(chosen.units, intruders, strict=True)]
        return InsertionBatch.of(texts, prefix)

    def _partial(self, units: list[int], intruders: list[int], rng: np.random.Generator) -> PartialText:
        share = 1.0 if rng.random() < _COMPLETE else rng.random()
        order = insertion_order(self._surprisal[units], rng)
        count = round(share * len(units))
        if rng.random() >= _DISTURBED:
            return partial_text(units, order, count)
        most = 1 + count // 4
        strangers = intruders[: int(rng.integers(min(_WRONG, most) + 1))]
        moved = int(rng.integers(min(_WRONG, most) + 1))
        return disturbed(units, order, count, strangers, moved, rng)

    @torch.no_grad()
    def _intruders(self, texts: EncodedTexts, generator: torch.Generator) -> list[list[int]]:
        """Some units that the prior expects for each target, drawn by their probabilities; none of the text's own."""
        device, layer = self._plausible.device, self.prior.output
        queries = Targets.of(self.prior, texts.prefixes.to(device), self.positions).anywhere
        logits = queries @ layer.weight[self._plausible].T + layer.bias[self._plausible]
        uniform = torch.rand(logits.shape, generator=generator, device="cpu").clamp(1e-9, 1 - 1e-7)
        keys = logits - torch.log(-torch.log(uniform)).to(device)
        drawn = self._plausible[keys.topk(min(2 * _WRONG, keys.shape[1]), dim=1).indices].tolist()
        return [[unit for unit in own if unit not in units] for own, units in zip(drawn, texts.units, strict=True)]
