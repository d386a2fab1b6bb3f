"""The trace of a rebuild: commits as a list of steps, for people to watch."""

from __future__ import annotations

import torch
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.controller.belief import OPEN, BeliefState
from lexivert.controller.results import Step
from lexivert.controller.verification import fit
from lexivert.text.lexicon import EOS


class TraceRecorder:
    """Commits pairs one at a time and notes each.

    Args:
        order: given order parts. Shape: (B, O).
    """

    def __init__(self, order: Tensor) -> None:
        self._order = order
        self.steps: list[list[Step]] = [[] for _ in range(len(order))]

    def commit(self, belief: BeliefState, rows: Tensor, positions: Tensor, units: Tensor, scores: Tensor) -> None:
        """Commit the pairs in the given order. Shape: four (m,)."""
        for i in range(len(rows)):
            one = slice(i, i + 1)
            belief.commit(rows[one], positions[one], units[one])
            self._note(belief, int(rows[i]), int(positions[i]), int(units[i]), float(scores[i]))

    def record_eos(self, belief: BeliefState, rows: Tensor) -> None:
        """Note that EOS was found, or found elsewhere, in some texts. Shape: (m,)."""
        for row, position in zip(rows.tolist(), belief.length[rows].tolist(), strict=True):
            self._note(belief, row, position, EOS, 1.0)

    def _note(self, belief: BeliefState, row: int, position: int, unit: int, score: float) -> None:
        length = int(belief.length[row])
        cosine = fit(self._order[row : row + 1], belief.total[row : row + 1]).clamp(-1.0, 1.0)
        residual = float(torch.sqrt(1.0 - cosine.square()))
        belief.widen(length)
        units = torch.where(belief.committed[row, :length], belief.units[row, :length, 0], OPEN)
        self.steps[row].append(Step(unit, position, score, residual, tuple(units.tolist())))


def replay(order: Tensor, codebook: Codebook, units: list[int], scores: list[float]) -> list[Step]:
    """Steps of a rebuild of a text that was found all at once: its surest units first.

    Args:
        order: the vector's order part. Shape: (1, O).
        codebook: codes and binding.
        units: of the text.
        scores: their probabilities.
    """
    recorder = TraceRecorder(order)
    belief = BeliefState.of_lengths(codebook, torch.tensor([len(units)], device=order.device))
    recorder.record_eos(belief, torch.zeros(1, dtype=torch.int64, device=order.device))
    surest = sorted(range(len(units)), key=lambda position: -scores[position])
    positions = torch.tensor(surest, dtype=torch.int64, device=order.device)
    chosen = torch.tensor(units, dtype=torch.int64, device=order.device)[positions]
    probability = torch.tensor(scores, device=order.device)[positions]
    recorder.commit(belief, torch.zeros_like(positions), positions, chosen, probability)
    return recorder.steps[0]
