"""Hypotheses: the likeliest text found so far for each vector, whatever found it."""

from __future__ import annotations

import torch
from torch import Tensor

from lexivert.controller.results import DecodeResult


class BestHypotheses:
    """The likeliest text found so far for each of B vectors.

    A text's likelihood is that of Gaussian noise of unknown variance, times the unigram prior.

    Args:
        batch: B.
        width: O.
        log_prior: log unigram probability. Shape: (V,).
    """

    def __init__(self, batch: int, width: int, log_prior: Tensor) -> None:
        self.units: list[list[int]] = [[] for _ in range(batch)]
        self.scores: list[list[float]] = [[] for _ in range(batch)]
        self.fit = log_prior.new_zeros(batch)
        self.verified = torch.zeros(batch, dtype=torch.bool, device=log_prior.device)
        self.log_likelihood = log_prior.new_full((batch,), -torch.inf)
        self._log_prior = log_prior
        self._width = width

    def keep_better(self, rows: Tensor, found: DecodeResult) -> None:
        """Take over texts that are likelier than what is known of their vectors; what is verified stays.

        Args:
            rows: vectors that the texts were found for; may repeat. Shape: (b,).
            found: b texts.
        """
        unexplained = (1.0 - found.fit.square()).clamp_min(1e-6)
        prior = torch.stack([self._log_prior[text].sum() for text in found.units]) if found.units else found.fit
        log_likelihood = prior - 0.5 * self._width * unexplained.log()
        for place, row in enumerate(rows.tolist()):
            if not self.verified[row] and log_likelihood[place] > self.log_likelihood[row]:
                self.units[row], self.scores[row] = found.units[place], found.scores[place]
                self.fit[row], self.verified[row] = found.fit[place], found.verified[place]
                self.log_likelihood[row] = log_likelihood[place]
