"""The split of a vector's energy between semantic prefix and order part, which tells its noise before any decoding.

Noise that is the same in all dimensions moves the order part's share of the energy from ``1 - a`` to ``O / D``, so
that the share tells how strong it is. How far that can be trusted is known, too: noise is a draw, its energy varies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.controller.observation import Observation

_LEAST_COSINE = 0.3  # a vector that shows no higher cosine is taken to show none
_INDISTINCT = 0.02  # shares of energy nearer to each other tell nothing
_ROUNDING = 0.005  # what storing vectors in few bits may take off a fit
_DEVIATIONS = 3.0


@dataclass(frozen=True)
class EnergySplit:
    """What B vectors tell of their noise.

    Without a prefix nothing is told, nor by a share that isotropic noise can't make, nor by one that leaves no signal
    (as of vectors stored in one bit a dimension).

    Attributes:
        cosine: of the order parts with the clean ones, at most 1; NaN where nothing is told. Shape: (B,).
        deviation: standard deviation of a right text's fit from ``cosine``, over draws of the noise and to first
            order; NaN where nothing is told. Shape: (B,).
    """

    cosine: Tensor
    deviation: Tensor

    @classmethod
    def of(cls, observed: Observation, semantic_share: float) -> EnergySplit:
        """Read the split of some vectors.

        Let c² be the signal's share of the energy and p = O / D. The order part's share is
        ``c² (1 - a) + (1 - c²) p``, which gives c². The noise's own energy has the variance
        ``2 (1 - c²)² p (1 - p) / D``, its cross term with the signal ``4 c² (1 - c²) a (1 - a) / D``. The nearer p is
        to 1 - a, the less a change of the energy says of c². A fit is the cosine with noise drawn in O dimensions,
        and has a variance of its own.

        Args:
            observed: B vectors.
            semantic_share: a.
        """
        order, width = observed.order.shape[1], observed.order.shape[1] + observed.prefix.shape[1]
        clean, noise = 1.0 - semantic_share, order / width
        if observed.order_share is None or abs(noise - clean) < _INDISTINCT:
            nothing = torch.full_like(observed.order[:, 0], torch.nan)
            return cls(nothing, nothing)
        energy = observed.order_share
        told = (noise - energy) / (noise - clean)
        signal = told.clamp(0.0, 1.0)
        squared = signal * clean / energy
        possible = (told < 1.0 + _INDISTINCT) & (squared > _LEAST_COSINE**2)
        cosine = torch.where(possible, squared.clamp(max=1.0).sqrt(), torch.nan)
        cross = 4.0 * signal * (1.0 - signal) * semantic_share * clean
        deviation = torch.sqrt((cross + 2.0 * (1.0 - signal).square() * noise * (1.0 - noise)) / width)
        slope = clean / energy * (1.0 / (noise - clean) + signal / energy)  # of ``squared``; the energy moves both
        own = (1.0 - cosine.square()) / order
        return cls(cosine, torch.sqrt((slope * deviation / (2.0 * cosine)).square() + own))

    def explains(self, fits: Tensor) -> Tensor:
        """Tell which texts leave no more of their vectors than the noise that the vectors tell.

        Args:
            fits: cosine of each text's re-encoding. Shape: (B,).

        Returns:
            1 where noise explains the rest, 0 where it doesn't, NaN where nothing is told. Shape: (B,).
        """
        least = self.cosine - _ROUNDING - _DEVIATIONS * self.deviation
        return torch.where(self.cosine.isnan(), self.cosine, (fits >= least).to(fits.dtype))
