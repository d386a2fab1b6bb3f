"""Rewriting by the Selector: some units of a text, written anew from both sides of their context and the embedding.

The conditional model and the language model only see what stands before; the Selector sees what stands behind, too,
and writes phrases at once. It is one proposal of many: what it makes of a text is ranked as all else is.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.generation.hill_climbing import HillClimbing
from lexivert.priors.base import Prior
from lexivert.text.lexicon import WIKITEXT


class Rewriter:
    """Writes some units of texts anew.

    Args:
        encoder: has the lexicon.
        prior: over units: the Selector.
    """

    def __init__(self, encoder: Encoder, prior: Prior) -> None:
        self._segmenter = encoder.segmenter
        self._longest = encoder.config.code.max_units
        self._climber = HillClimbing(encoder, prior.without([WIKITEXT]), rounds=0)
        self._device = prior.output.bias.device

    def rewritten(self, embeddings: Tensor, texts: Sequence[str], known: int, seeds: Sequence[int]) -> list[str]:
        """The texts with some of their units written anew, at least one of each.

        Args:
            embeddings: what each is to say. Shape: (B, S).
            texts: B of them.
            known: units at the beginning of every text that stay.
            seeds: of each text's choice and draws.
        """
        if not texts:
            return []
        units = [self._segmenter.segment(text)[: self._longest] for text in texts]
        kept = torch.full((len(texts), self._longest + 1), -1, device=self._device)
        for row, own in enumerate(units):
            kept[row, : min(known, len(own))] = torch.tensor(own[:known], dtype=torch.int64, device=self._device)
        draws = [torch.Generator().manual_seed(seed) for seed in seeds]
        revised = self._climber.revised(embeddings.to(self._device), units, kept, draws)
        return [self._segmenter.join(own) for own in revised]
