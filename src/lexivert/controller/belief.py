"""The belief state of the decoding loops: marginals of every position, posterior over lengths, and their sum.

What is believed of a position is its likeliest units with their probabilities, and the posterior mean of its code; a
committed unit is a belief of probability 1. The sum of the bound means is kept up to date: putting, replacing or
dropping a belief adds the difference of two bound codes to it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.priors.base import TOP_K, Belief

OPEN = -1
"""Stands for no unit."""
_ROOM = 8  # positions that room is made for at a time: most texts are far shorter than the longest allowed


class BeliefState:
    """Beliefs about B texts, EOS included.

    Args:
        codebook: codes and binding.
        lengths: posterior over lengths, EOS's position. Shape: (B, P) with P positions.
        k: candidates remembered a position.

    Attributes:
        units: likeliest units of every position, ``OPEN`` where nothing is known. Shape: (B, N, k).
        marginals: their probabilities. Shape: (B, N, k).
        means: expected code at every position. Shape: (B, N, O).
        committed: positions whose unit counts as known. Shape: (B, N) bool.
        lengths: posterior over lengths. Shape: (B, P).
        total: sum of bound means and of EOS's expected code. Shape: (B, O).
        memory: added to the next residual, see ``noise.onsager``. Shape: (B, O).
    """

    def __init__(self, codebook: Codebook, lengths: Tensor, k: int = TOP_K) -> None:
        batch = len(lengths)
        self.codebook = codebook
        self.lengths = lengths
        self.units = torch.full((batch, 0, k), OPEN, device=lengths.device)
        self.marginals = lengths.new_zeros(batch, 0, k)
        self.means = lengths.new_zeros(batch, 0, codebook.width)
        self.committed = torch.zeros(batch, 0, dtype=torch.bool, device=lengths.device)
        self.total = lengths @ codebook.eos_codes
        self.memory = torch.zeros_like(self.total)
        self._believed = lengths.new_zeros(batch, 0)

    @classmethod
    def of_lengths(cls, codebook: Codebook, length: Tensor) -> BeliefState:
        """Nothing is believed but where each text ends. Shape: (B,) int64."""
        return cls(codebook, F.one_hot(length, codebook.binding.positions).float())

    @property
    def length(self) -> Tensor:
        """Likeliest number of units. Shape: (B,)."""
        return self.lengths.argmax(dim=1)

    @property
    def positions(self) -> int:
        """Positions that there is room for, N."""
        return self.means.shape[1]

    def expected_energy(self, rows: Tensor) -> Tensor:
        """Expected energy of all codes, EOS's included: the squared length of the clean sum. Shape: (b,).

        A code of which nothing is known counts as 1, the mean of all texts.
        """
        lengths = self.lengths[rows]
        count = lengths @ torch.arange(lengths.shape[1], dtype=lengths.dtype, device=lengths.device)
        before = 1.0 - lengths.cumsum(dim=1)[:, : self.positions]
        more = (self.codebook.energies[self.units[rows].clamp_min(0)] - 1.0) * self.marginals[rows]
        return count + lengths @ self.codebook.eos_energies + (before * more.sum(dim=2)).sum(dim=1)

    def believed_energy(self, rows: Tensor) -> Tensor:
        """Summed energy of all means, EOS's included: the squared length that ``total`` should have. Shape: (b,)."""
        eos = self.lengths[rows].square() @ self.codebook.eos_energies
        return self._believed[rows].sum(dim=1) + eos

    def widen(self, positions: int) -> None:
        """Make room for so many positions."""
        more = positions - self.positions
        if more > 0:
            self.means = F.pad(self.means, (0, 0, 0, more))
            self.units = F.pad(self.units, (0, 0, 0, more), value=OPEN)
            self.marginals = F.pad(self.marginals, (0, 0, 0, more))
            self.committed = F.pad(self.committed, (0, more))
            self._believed = F.pad(self._believed, (0, more))

    def put(self, rows: Tensor, positions: Tensor, units: Tensor, marginals: Tensor, means: Tensor) -> None:
        """Put guesses at distinct (row, position) pairs, in place of what is believed there.

        Args:
            rows: Shape: (m,).
            positions: Shape: (m,).
            units: candidates. Shape: (m, k).
            marginals: their probabilities. Shape: (m, k).
            means: expected codes, subtracted from the vector in place of a code. Shape: (m, O).
        """
        if not len(rows):
            return
        needed = int(positions.max()) + 1
        self.widen(min(-(-needed // _ROOM) * _ROOM, self.codebook.binding.positions))
        self.total.index_add_(0, rows, self.codebook.binding.bind(means - self.means[rows, positions], positions))
        self.units[rows, positions], self.marginals[rows, positions] = units, marginals
        self.means[rows, positions] = means
        self._believed[rows, positions] = means.square().sum(dim=1)
        self.committed[rows, positions] = False

    def commit(self, rows: Tensor, positions: Tensor, units: Tensor) -> None:
        """Commit a unit at each of some distinct (row, position) pairs. Shape: three (m,)."""
        candidates = units.new_full((len(units), self.units.shape[2]), OPEN)
        candidates[:, 0] = units
        self.put(rows, positions, candidates, (candidates >= 0).float(), self.codebook.embed(units))
        self.committed[rows, positions] = True

    def drop(self, rows: Tensor, positions: Tensor) -> None:
        """Open positions again. Shape: two (m,)."""
        nothing = self.units.new_full((len(rows), self.units.shape[2]), OPEN)
        self.put(
            rows,
            positions,
            nothing,
            torch.zeros_like(nothing).float(),
            self.means.new_zeros(len(rows), self.codebook.width),
        )

    def move_eos(self, rows: Tensor, length: Tensor) -> None:
        """Be sure that texts end elsewhere; beliefs at or beyond the new end are dropped. Shape: two (m,)."""
        lengths = F.one_hot(length, self.lengths.shape[1]).to(self.lengths.dtype)
        self.total[rows] += (lengths - self.lengths[rows]) @ self.codebook.eos_codes
        self.lengths[rows] = lengths
        beyond = self.units[rows, :, 0] != OPEN
        beyond &= torch.arange(self.positions, device=rows.device) >= length[:, None]
        which, positions = beyond.nonzero(as_tuple=True)
        self.drop(rows[which], positions)

    def replace(self, rows: Tensor, means: Tensor, lengths: Tensor) -> None:
        """Take over new means of all positions and new posteriors over lengths. Shape: (b,), (b, N, O), (b, P)."""
        positions = torch.arange(self.positions, device=rows.device).expand(len(rows), -1)
        bound = self.codebook.binding.bind(means, positions).sum(dim=1)
        self.total[rows] = bound + lengths @ self.codebook.eos_codes
        self.means[rows], self.lengths[rows] = means, lengths
        self._believed[rows] = means.square().sum(dim=2)

    def inside(self, rows: Tensor, positions: int) -> Tensor:
        """Tell which of the first positions lie before EOS. Shape: (b, positions) bool."""
        return torch.arange(positions, device=rows.device) < self.length[rows][:, None]

    def open(self, rows: Tensor, positions: int) -> Tensor:
        """Tell which of the first positions lie before EOS without a committed unit. Shape: (b, positions) bool."""
        self.widen(positions)
        return ~self.committed[rows, :positions] & self.inside(rows, positions)

    def complete(self, rows: Tensor) -> Tensor:
        """Tell which texts have a committed unit at every position before EOS. Shape: (b,) bool."""
        return self.committed[rows].sum(dim=1) == self.length[rows]

    def view(self, rows: Tensor, positions: int, prefix: Tensor, cosine: Tensor) -> Belief:
        """What a prior sees of the first positions of some texts.

        Args:
            rows: the texts. Shape: (b,).
            positions: N.
            prefix: their semantic prefixes, unit length. Shape: (b, S).
            cosine: expected cosine of each with the clean one. Shape: (b,).
        """
        self.widen(positions)
        beyond = ~self.inside(rows, positions)[:, :, None]
        units = self.units[rows, :positions].masked_fill(beyond, OPEN)
        marginals = self.marginals[rows, :positions].masked_fill(beyond, 0.0)
        return Belief(units, marginals, self.length[rows], prefix, cosine)
