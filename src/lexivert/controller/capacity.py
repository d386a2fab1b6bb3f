"""Capacity: how surprising a text may be for its vector to give it back exactly.

Message passing begins with every position in the noise of all others, where a code of energy g stands out by ``g O /
Σg`` squared deviations, and it gets under way as long as that is at least twice the unit's surprisal in nats, which
the prior does not know (Rush, Greig & Venkataramanan 2017). With energies in proportion to surprisal, that is one
bound on the sum: a text may have ``O / 2`` nats. Noise takes from it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.priors.base import Belief, Prior

LOAD = 1.3
"""Nats over ``O / 2`` from which on most texts are not read exactly, restarts included (docs/log)."""
_NEAR = 0.7  # of the limit: texts of less unigram surprise are not looked at closer


class Capacity:
    """Tells texts that their vectors are not expected to give back.

    Args:
        codebook: width and unigram prior.
        prior: what the decoder knows of a text, given its semantic prefix.
    """

    def __init__(self, codebook: Codebook, prior: Prior) -> None:
        self.codebook = codebook
        self.prior = prior

    @property
    def nats(self) -> float:
        """Most surprise that is expected to be read."""
        return LOAD * self.codebook.width / 2.0

    @property
    def bits(self) -> float:
        """The same in bits."""
        return self.nats / math.log(2.0)

    @torch.inference_mode()
    def surprise(self, units: Sequence[int], prefix: Tensor) -> float:
        """Nats of a text under the prior, given its prefix and length but none of its units. Shape: prefix (S,)."""
        if not units:
            return 0.0
        chosen = torch.tensor(units, device=prefix.device)
        length = torch.tensor([len(units)], device=prefix.device)
        queries = self.prior.queries(Belief.empty(len(units), length, prefix[None]))[0]
        own = self.prior.output.some_logits(queries, chosen[:, None])[:, 0]
        return float((self.prior.output.logits(queries).logsumexp(dim=1) - own).sum())

    def exceeded(self, texts: Sequence[Sequence[int]], prefixes: Tensor) -> list[int]:
        """Rows of texts that have more surprise. Shape: prefixes (B, S), unit length."""
        log_prior = self.codebook.log_prior
        near = [row for row, units in enumerate(texts) if -float(log_prior[list(units)].sum()) > _NEAR * self.nats]
        return [row for row in near if self.surprise(texts[row], prefixes[row]) > self.nats]
