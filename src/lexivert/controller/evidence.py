"""What both loops know of a position from outside it: its effective observation and the prior's query.

With all other beliefs subtracted from the vector, unbinding leaves the position's code in Gaussian noise: the
effective observation. Over the noise variance it is the natural parameter of the likelihood over units.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from lexivert.controller.belief import BeliefState
from lexivert.controller.noise import NoiseEstimate
from lexivert.controller.observation import Observation
from lexivert.priors.base import Prior


@dataclass(frozen=True)
class Positions:
    """m positions of some of the texts.

    Attributes:
        rows: the texts, b of them. Shape: (b,).
        which: text of each position, as a place in ``rows``. Shape: (m,).
        positions: Shape: (m,).
    """

    rows: Tensor
    which: Tensor
    positions: Tensor


@dataclass(frozen=True)
class Evidence:
    """What is known of m positions.

    Attributes:
        natural: effective observation over noise variance. Shape: (m, O).
        queries: the prior's. Shape: (m, H).
        variance: noise per dimension. Shape: (m,).
    """

    natural: Tensor
    queries: Tensor
    variance: Tensor


def evidence_at(
    asked: Positions, seen: int, observed: Observation, belief: BeliefState, estimate: NoiseEstimate, prior: Prior
) -> Evidence:
    """Evidence at some positions; what is believed of a position itself is in neither part.

    Args:
        asked: the positions.
        seen: the prior sees so many positions of each text.
        observed: all vectors.
        belief: about all texts.
        estimate: noise of the texts ``asked.rows``.
        prior: over units.
    """
    which, positions = asked.which, asked.positions
    view = belief.view(asked.rows, seen, observed.prefix[asked.rows], estimate.prefix_cosine)
    effective = belief.codebook.binding.unbind(estimate.residual[which], positions)
    effective += belief.means[asked.rows[which], positions]
    variance = estimate.variance[which]
    return Evidence(effective / variance[:, None], prior.queries(view)[which, positions], variance)
