"""Power allocation: how much of a vector's energy each unit's code is given.

In a superposition code power is what a codeword is found by, and it may be divided unevenly (Rush, Greig &
Venkataramanan 2017). Here it grows with a unit's surprisal: frequent units need less evidence, since the prior makes
them likely anyway, and what they spare makes rare units stand out further.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lexivert.half_floats import float_parts
from lexivert.text.lexicon import EOS


def unit_energies(log_prior: Tensor, surprisal_share: float, eos_energy: float) -> Tensor:
    """Energy of each unit's code, its squared length; 1 on average over the units of a text.

    EOS has an energy of its own: where a text ends is asked first, in the noise of all its units.

    Args:
        log_prior: log unigram probability. Shape: (V,).
        surprisal_share: share of the energy that is in proportion to surprisal, 0 to 1; with 0 all energies are 1.
        eos_energy: EOS's.

    Shape: (V,).
    """
    surprisal = -log_prior
    usage = log_prior.exp()
    usage[EOS] = 0.0
    mean = (usage * surprisal).sum() / usage.sum()
    energies = 1.0 - surprisal_share + surprisal_share * surprisal / mean
    energies[EOS] = eos_energy
    return energies


def eos_energies(energy: Tensor, nats: float, width: int, positions: int) -> Tensor:
    """Energy of EOS's code at each position: as small as serves, and growing with the noise of a longer text.

    In the noise of n unit codes EOS, of energy g, shows evidence of ``g O / 2n`` nats, against which stand the
    ``ln P`` nats of all positions. What is least enough for a short text is far too little for a long one.

    Args:
        energy: at any position at least. Shape: ().
        nats: evidence that the energy is enough for.
        width: O.
        positions: P.

    Shape: (P,).
    """
    grown = 2.0 * nats / width * torch.arange(positions, dtype=energy.dtype, device=energy.device)
    return torch.maximum(grown, energy)


def eos_scale(code: Tensor, nats: float, positions: int) -> Tensor:
    """Factor of EOS's code at each position that gives it its energy there, see ``eos_energies``.

    Args:
        code: EOS's. Shape: (O,).
        nats: evidence that the energy is enough for.
        positions: P.

    Shape: (P,).
    """
    energy = code.float().square().sum()
    return (eos_energies(energy, nats, len(code), positions) / energy).sqrt()


def with_energies(codes: Tensor, energies: Tensor) -> Tensor:
    """Codes times the roots of some energies. Shape: codes (V, O) float16, energies (V,), result (V, O) float16."""
    scaled = torch.empty_like(codes)
    for rows, own in float_parts(codes):
        scaled[rows] = (own * energies[rows, None].sqrt()).half()
    return scaled
