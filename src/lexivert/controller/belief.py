"""What has been decoded so far: units, and the sum of their bound codes.

Committing, replacing or dropping a unit adds the difference of two bound codes to the sum, so the residual is updated
and never recomputed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.bindings import RotaryBinding
from lexivert.priors.selector import HELD
from lexivert.text.lexicon import EOS

OPEN = -1
_ROOM = 8  # positions that room is made for at a time


class Buffer:
    """Committed units of B texts, EOS included, with their sum.

    Attributes:
        units: unit id of every position, ``OPEN`` where nothing is known. Shape: (B, P).
        weights: how surely, 0 to 1: below 1 it is a guess, in whose place a mean over candidates may be subtracted; a
            committed unit (weight 1) is subtracted in full. Shape: (B, P).
        length: believed number of units, which is EOS's position. Shape: (B,).
        total: sum of all that is subtracted, bound to its positions. Shape: (B, O).
    """

    def __init__(self, length: Tensor, codes: Tensor, binding: RotaryBinding) -> None:
        batch, positions = len(length), binding.positions
        self._codes = codes
        self._binding = binding
        self.units = torch.full((batch, positions), OPEN, dtype=torch.int64)
        self.weights = torch.zeros(batch, positions)
        self._held = torch.zeros(batch, 0, codes.shape[1])
        self._energy = torch.zeros(batch, positions)
        self._candidates = torch.full((batch, positions, HELD), OPEN)
        self._shares = torch.zeros(batch, positions, HELD)
        self.length = length.clone()
        self.total = torch.zeros(batch, codes.shape[1])
        self.put(torch.arange(batch), length, torch.full_like(length, EOS), torch.ones(batch))

    def put(
        self, rows: Tensor, positions: Tensor, units: Tensor, weights: Tensor, codes: Tensor | None = None
    ) -> None:
        """Put a unit at each (row, position) in place of what is there; the pairs are distinct. Weight 0 drops it.

        Args:
            rows: Shape: (M,).
            positions: Shape: (M,).
            units: Shape: (M,).
            weights: Shape: (M,).
            codes: what is subtracted for each, such as a mean over several candidates; if None, the weighted code of
                the unit. Shape: (M, O).
        """
        self._widen(int(positions.max()) + 1 if len(positions) else 0)
        if codes is None:
            codes = self._codes[units.clamp_min(0)].float() * weights[:, None]
        bound = self._binding.bind(codes - self._held[rows, positions], positions)
        self.units[rows, positions] = torch.where(weights > 0, units, OPEN)
        self.weights[rows, positions] = weights
        self._held[rows, positions] = codes
        self._energy[rows, positions] = codes.square().sum(dim=1)
        self._candidates[rows, positions], self._shares[rows, positions] = OPEN, 0.0
        self._candidates[rows, positions, 0] = torch.where(weights > 0, units, OPEN)
        self._shares[rows, positions, 0] = weights
        self.total.index_add_(0, rows, bound)

    def _widen(self, positions: int) -> None:
        """Make room for codes up to a position: most texts are far shorter than the longest allowed."""
        more = positions - self._held.shape[1]
        if more > 0:
            self._held = F.pad(self._held, (0, 0, 0, -(-more // _ROOM) * _ROOM))

    def note(self, rows: Tensor, positions: Tensor, units: Tensor, shares: Tensor) -> None:
        """Note the likeliest candidates behind guesses. Shape: rows and positions (M,), the others (M, HELD)."""
        self._candidates[rows, positions] = units
        self._shares[rows, positions] = shares

    def held(self, rows: Tensor, n: int) -> tuple[Tensor, Tensor]:
        """Candidates at the first n positions, with their probabilities.

        Shape: rows (R,), result two (R, n, HELD).
        """
        inside = self.inside()[rows, :n, None]
        return self._candidates[rows, :n].masked_fill(~inside, OPEN), self._shares[rows, :n] * inside

    def known(self, rows: Tensor, positions: Tensor) -> Tensor:
        """What is held at some positions, unbound. Shape: rows and positions (M,), result (M, O)."""
        return self._held[rows, positions]

    def drop(self, rows: Tensor, positions: Tensor) -> None:
        """Open positions again. Shape: two (M,)."""
        self.put(rows, positions, torch.zeros_like(rows), torch.zeros(len(rows)))

    def move_end(self, rows: Tensor, length: Tensor) -> None:
        """Move EOS to a new position; units at or beyond it are dropped.

        Shape: two (M,).
        """
        self.drop(rows, self.length[rows])
        beyond = self.units[rows] != OPEN
        beyond &= torch.arange(self.units.shape[1])[None, :] >= length[:, None]
        which, positions = beyond.nonzero(as_tuple=True)
        self.drop(rows[which], positions)
        self.length[rows] = length
        self.put(rows, length, torch.full_like(rows, EOS), torch.ones(len(rows)))

    def inside(self) -> Tensor:
        """Tell which positions lie before EOS. Shape: (B, P) bool."""
        return torch.arange(self.units.shape[1])[None, :] < self.length[:, None]

    def open(self) -> Tensor:
        """Tell which positions before EOS hold no committed unit. Shape: (B, P) bool."""
        return (self.weights < 1) & self.inside()

    def complete(self) -> Tensor:
        """Tell which texts have a committed unit at every position before EOS. Shape: (B,) bool."""
        return ~self.open().any(dim=1)

    def known_energy(self) -> Tensor:
        """Summed energy of what is held, EOS included: the squared length that ``total`` should have. Shape: (B,)."""
        return self._energy.sum(dim=1)
