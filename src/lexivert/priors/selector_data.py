"""Training batches of the Selector: sentences of which a part is known, with noisy prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from lexivert.codes.corruption import add_noise, training_cosines
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.priors.base import TOP_K, Belief
from lexivert.text.augmentation import SubwordRegularizer

_REGULARIZED_SHARE = 0.4
_CHAINED_BATCHES = 0.4
_MISSING_PREFIXES = 0.08
_LONGER = 0.5  # power of the uniform draw that chooses a batch's place among the lengths: long ones more often


@dataclass(frozen=True)
class SelectorTexts:
    """Training sentences in two spellings, row by row.

    Attributes:
        written: as ``Segmenter`` spells them.
        regularized: as ``SubwordRegularizer`` spells them, with the same prefixes.
    """

    written: EncodedTexts
    regularized: EncodedTexts

    def __len__(self) -> int:
        return len(self.written)

    @classmethod
    def of(cls, written: EncodedTexts, regularizer: SubwordRegularizer, most: int) -> SelectorTexts:
        """Spell texts a second time, in their order, on which what the regularizer draws depends.

        Args:
            written: texts with their strings.
            regularizer: not used before.
            most: units of a text; where the second spelling has more, it is the first.
        """
        spelled = []
        pairs = zip(written.texts, written.units, strict=True)
        for text, units in tqdm(
            pairs, total=len(written), desc="subword regularisation", unit="sentence", mininterval=1.0
        ):
            other = regularizer.segment(text)
            spelled.append(other if len(other) <= most else units)
        return cls(written, EncodedTexts(written.texts, spelled, written.prefixes))


@dataclass(frozen=True)
class SelectorBatch:
    """A batch for the Selector: texts of which something is known.

    Attributes:
        truth: right unit of every position, -1 beyond. Shape: (B, N).
        belief: what is known of them.
    """

    truth: Tensor
    belief: Belief

    def to(self, device: torch.device) -> SelectorBatch:
        """The same batch on a device."""
        known = self.belief
        parts = (known.units, known.marginals, known.length, known.prefix, known.cosine)
        return SelectorBatch(self.truth.to(device), Belief(*(part.to(device) for part in parts)))


def draw_chains(
    texts: SelectorTexts,
    starts: npt.NDArray[np.int64],
    wanted: npt.NDArray[np.int64],
    most: int,
    rng: np.random.Generator,
) -> EncodedTexts:
    """Sentences from each start on until there are as many units as wanted, each chain in either spelling throughout.

    Rows are a random sample of the corpus, so a chain is no passage: it teaches long texts, not how they go on.

    Args:
        texts: sentences.
        starts: row that each chain begins with. Shape: (B,).
        wanted: units after which a chain is long enough. Shape: (B,).
        most: units that are kept of a chain; its prefix is that of all of them.
        rng: draws the spellings.
    """
    chains = []
    for start, enough in zip(starts.tolist(), wanted.tolist(), strict=True):
        spelled = texts.regularized if rng.random() < _REGULARIZED_SHARE else texts.written
        chains.append(spelled.joined([_rows_from(spelled, start, enough)]))
    units = [chain.units[0][:most] for chain in chains]
    return EncodedTexts([], units, torch.cat([chain.prefixes for chain in chains]))


def _rows_from(texts: EncodedTexts, start: int, enough: int) -> list[int]:
    """Rows from ``start`` until they have ``enough`` units, or to the end."""
    length = 0
    for stop in range(start, len(texts)):
        length += len(texts.units[stop])
        if length >= enough:
            return list(range(start, stop + 1))
    return list(range(start, len(texts)))


def draw_batch(
    texts: SelectorTexts,
    by_length: npt.NDArray[np.int64],
    shape: tuple[int, int],
    min_cosine: float,
    unigram: Tensor,
    rng: np.random.Generator,
) -> SelectorBatch:
    """Texts of nearly one length, so that little is padding; two batches of five are of chains.

    Long texts are drawn more often than short ones, of which a dictionary is full but which are easily read back.

    Args:
        texts: sentences to draw from.
        by_length: their rows, shortest first. Shape: (T,).
        shape: texts a batch, and most units a text.
        min_cosine: of the noisiest prefix with the clean one.
        unigram: cumulated probabilities of units, from which wrong candidates are drawn. Shape: (V,).
        rng: source of everything random.
    """
    batch, most = shape
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    if rng.random() < _CHAINED_BATCHES:
        starts, wanted = rng.integers(len(texts), size=batch), np.full(batch, rng.integers(1, most + 1))
    else:
        first = int((max(len(texts) - batch, 0) + 1) * rng.random() ** _LONGER)
        starts, wanted = by_length[first : first + batch], np.ones(batch, dtype=np.int64)
    chains = draw_chains(texts, starts, wanted[: len(starts)], most, rng)
    truth, length = padded(chains.units)
    cosine = training_cosines(len(chains), min_cosine, rng)
    prefix = add_noise(chains.prefixes, cosine, generator)
    cosine[torch.from_numpy(rng.random(len(chains)) < _MISSING_PREFIXES)] = 0.0
    units, marginals = calibrated_candidates(truth, unigram, generator)
    return SelectorBatch(truth, Belief(units, marginals, length, prefix, cosine))


def calibrated_candidates(truth: Tensor, unigram: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Candidates with probabilities that are right: a candidate of probability p is the true unit that often.

    That is how a decoder's posteriors look to the Selector, without a decoder: a random share of each text is known,
    some of it surely; the wrong candidates are draws from the unigram distribution.

    Shape: truth (B, N), unigram (V,), both on the CPU, result (B, N, TOP_K) int64 and float32.
    """
    shape = truth.shape

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=generator, device="cpu")

    known = uniform(shape[0], 1) * 1.3 - 0.15
    mass = (known + 0.35 * torch.randn(shape, generator=generator, device="cpu")).clamp(0.0, 1.0)
    hard = uniform(*shape) < 0.5
    left = torch.where(hard, (mass > 0.5).float(), mass)
    marginals = left.new_zeros(*shape, TOP_K)
    for place in range(TOP_K):
        least = 0.5 if place == 0 else 0.0
        part = uniform(*shape) * (1.0 - least) + least
        marginals[:, :, place] = torch.where(hard & (place == 0), left, left * part)
        left = left - marginals[:, :, place]
    units = torch.searchsorted(unigram, uniform(*shape, TOP_K)).clamp(max=len(unigram) - 1)
    chosen = (uniform(*shape, 1) > marginals.cumsum(dim=2)).sum(dim=2)
    right = torch.arange(TOP_K, device="cpu") == chosen[:, :, None]
    units = torch.where(right, truth[:, :, None], units)
    inside = (truth >= 0)[:, :, None]
    return torch.where(inside, units, -1), marginals * inside


def padded(texts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Units of texts, -1 beyond their ends, and their lengths, on the CPU.

    Shape: (B, N), at least one wide, and (B,).
    """
    length = torch.tensor([len(text) for text in texts], device="cpu")
    truth = torch.full((len(texts), max(int(length.max()), 1)), -1, device="cpu")
    for row, text in enumerate(texts):
        truth[row, : len(text)] = torch.tensor(text, dtype=torch.int64, device="cpu")
    return truth, length
