"""Beam search over tokens, and its random kin: stochastic beams, which are draws without replacement.

A stochastic beam search (Kool et al. 2019) adds Gumbel noise to the log probability of every text such that a
beginning's is the greatest of its continuations'; the beams are then different texts, drawn as the distribution has
them. Without noise it is the plain search. Both stop as soon as no unfinished text can come among the best.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import torch
from torch import Tensor


class Steps(Protocol):
    """R beginnings of texts, and what may follow them."""

    def __len__(self) -> int:
        """How many there are, R."""
        ...

    def choices(self, count: int) -> tuple[Tensor, Tensor]:
        """Log probabilities of tokens to come next, and the tokens themselves, in any order.

        Args:
            count: tokens wanted, the likeliest; the end may be one more. Minus infinity stands for none.

        Shape: (R, k) twice.
        """
        ...

    def moved(self, rows: Tensor, tokens: Tensor) -> Self:
        """Some of the beginnings, in any order, repeated or not, each with a token more. Shape: (r,) and (r,)."""
        ...


@dataclass(frozen=True)
class Beam:
    """A text that was found.

    Attributes:
        tokens: of the text, without its end.
        log_probability: of them and the end.
        ended: whether the text had come to its end when the search stopped.
    """

    tokens: list[int]
    log_probability: float
    ended: bool


def search(
    steps: Steps,
    width: int,
    longest: int,
    end: int,
    draws: Sequence[torch.Generator] | None = None,
    tried: int | None = None,
) -> list[list[Beam]]:
    """The best ``width`` texts for each of B beginnings, or as many drawn without replacement; the best first.

    Args:
        steps: the beginnings, one row each.
        width: beams of each.
        longest: most tokens that are added; what has no end then is given back as it is, behind what has.
        end: token that ends a text.
        draws: a source of noise for each beginning, on the CPU; None for the plain search.
        tried: so many of the likeliest tokens may follow a beginning; by default one more than ``width``, which are
            all that the plain search needs.
    """
    groups = [_Group(row, width, end, draws[row] if draws else None) for row in range(len(steps))]
    for _ in range(longest if groups else 0):
        best, chosen = (part.cpu() for part in steps.choices(tried or width + 1))
        moves: list[tuple[int, int]] = []
        for group in groups:
            own = group.grow(best[group.rows], chosen[group.rows])
            group.rows = list(range(len(moves), len(moves) + len(own)))
            moves += own
        if not moves:
            break
        steps = steps.moved(*(torch.tensor(part) for part in zip(*moves, strict=True)))
    return [group.best() for group in groups]


class _Group:
    """The beams of one beginning.

    Args:
        row: of the beginning among the steps.
        width: beams.
        end: token that ends a text.
        source: of noise; None for the plain search.
    """

    def __init__(self, row: int, width: int, end: int, source: torch.Generator | None) -> None:
        self.rows = [row]
        self.width, self.end, self.source = width, end, source
        self._open: list[tuple[float, float, list[int]]] = [(0.0, 0.0, [])]  # rank, log probability, tokens
        self._finished: list[tuple[float, Beam]] = []

    def grow(self, best: Tensor, chosen: Tensor) -> list[tuple[int, int]]:
        """Take the best continuations of the open beams.

        Args:
            best: log probabilities of the tokens that may follow each. Shape: (beams, k).
            chosen: these tokens. Shape: (beams, k).

        Returns:
            Row and token of every new beam; none where no open beam can come among the best.
        """
        if not self._open:
            return []
        moves: list[tuple[int, int]] = []
        beams: list[tuple[float, float, list[int]]] = []
        for rank, score, beam, place in self._children(best.double()):
            token, tokens = int(chosen[beam, place]), self._open[beam][2]
            if token == self.end:
                self._finished.append((rank, Beam(tokens, score, ended=True)))
                continue
            beams.append((rank, score, [*tokens, token]))
            moves.append((self.rows[beam], token))
            if len(beams) == self.width:
                break
        self._finished = sorted(self._finished, key=lambda one: -one[0])[: self.width]
        full = len(self._finished) == self.width
        if full and beams and self._finished[-1][0] >= beams[0][0]:
            moves, beams = [], []
        self._open = beams
        return moves

    def _children(self, best: Tensor) -> list[tuple[float, float, int, int]]:
        """Rank, log probability, beam and place of the best continuations, the best first.

        As many as twice the width are enough, since each beam has one end. Shape: best (beams, k).
        """
        ranks, scores, _ = zip(*self._open, strict=True)
        total = best + torch.tensor(scores, dtype=torch.float64)[:, None]
        if self.source is None:
            rank = total
        else:
            rank = _with_noise(total, torch.tensor(ranks, dtype=torch.float64), self.source)
        rank = rank.masked_fill(~torch.isfinite(total), -torch.inf).flatten()
        top = rank.topk(min(2 * self.width, int(torch.isfinite(rank).sum())))
        beams, places = top.indices // total.shape[1], top.indices % total.shape[1]
        scores_of = total[beams, places].tolist()
        return list(zip(top.values.tolist(), scores_of, beams.tolist(), places.tolist(), strict=True))

    def best(self) -> list[Beam]:
        """What is finished, then what is not, the best of each first."""
        found = [beam for _, beam in self._finished]
        return [*found, *(Beam(tokens, score, ended=False) for _, score, tokens in self._open)][: self.width]


def _with_noise(total: Tensor, ranks: Tensor, source: torch.Generator) -> Tensor:
    """Gumbel noise whose greatest sum of each beam is the beam's own rank. Shape: (beams, tried), ranks (beams,)."""
    uniform = torch.rand(total.shape, generator=source, dtype=torch.float64, device="cpu").clamp(1e-12, 1 - 1e-12)
    noisy = total - torch.log(-torch.log(uniform))
    greatest = noisy.amax(dim=1, keepdim=True)
    spread = ranks[:, None] - noisy + torch.log1p(-torch.exp((noisy - greatest).clamp_max(-1e-12)))
    found = ranks[:, None] - spread.clamp_min(0.0) - torch.log1p(torch.exp(-spread.abs()))
    return torch.where(noisy == greatest, ranks[:, None], found)
