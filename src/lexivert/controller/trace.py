"""The rebuild of a text as a list of steps, for people to watch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.controller.belief import OPEN, Buffer
from lexivert.controller.noise import fit
from lexivert.text.lexicon import EOS


@dataclass(frozen=True)
class Step:
    """One commit.

    Attributes:
        unit: the unit committed, moved or put in another's place.
        position: where.
        score: probability that it is right, 0 to 1.
        residual: share of the vector that the buffer leaves unexplained, 1 (all) to 0 (none): sine of the angle
            between the given vector and the sum of what is committed.
        buffer: unit ids by position after this step, -1 where open, EOS left out.
    """

    unit: int
    position: int
    score: float
    residual: float
    buffer: tuple[int, ...]


class TraceRecorder:
    """Commits pairs one at a time and notes each.

    Args:
        target: given order parts. Shape: (B, O).
    """

    def __init__(self, target: Tensor) -> None:
        self._target = target
        self.steps: list[list[Step]] = [[] for _ in range(len(target))]

    def put(self, buffer: Buffer, rows: Tensor, positions: Tensor, units: Tensor, scores: Tensor) -> None:
        """Commit the pairs in the given order. Shape: four (M,)."""
        for i in range(len(rows)):
            one = slice(i, i + 1)
            buffer.put(rows[one], positions[one], units[one], torch.ones(1))
            self._note(buffer, int(rows[i]), int(positions[i]), int(units[i]), float(scores[i]))

    def record_ends(self, buffer: Buffer, rows: Tensor) -> None:
        """Note that EOS was found, or found elsewhere, in some texts. Shape: (M,)."""
        for row in rows.tolist():
            self._note(buffer, row, int(buffer.length[row]), EOS, 1.0)

    def _note(self, buffer: Buffer, row: int, position: int, unit: int, score: float) -> None:
        cosine = fit(self._target[row : row + 1], buffer.total[row : row + 1]).clamp(-1.0, 1.0)
        residual = float(torch.sqrt(1.0 - cosine.square()))
        inside = slice(int(buffer.length[row]))
        units = tuple(torch.where(buffer.weights[row, inside] == 1, buffer.units[row, inside], OPEN).tolist())
        self.steps[row].append(Step(unit, position, score, residual, units))
