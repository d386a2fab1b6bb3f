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

    @property
    def log_probs(self) -> Tensor:
        """Log probability of every token to come next; minus infinity where it may not. Shape: (R, T)."""
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


@dataclass
class _Group:
    """The beams of one text: what is finished, by rank."""

    finished: list[tuple[float, Beam]]

    def add(self, rank: float, beam: Beam, width: int) -> None:
        self.finished.append((rank, beam))
        self.finished.sort(key=lambda one: -one[0])
        del self.finished[width:]

    def closed(self, best_open: float, width: int) -> bool:
        return len(self.finished) >= width and self.finished[width - 1][0] >= best_open


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
        tried: so many of the likeliest tokens may follow a beginning; by default ``width`` and the end, which are
            all that the plain search needs.
    """
    count = len(steps.log_probs)
    groups = [_Group([]) for _ in range(count)]
    paths: list[list[list[int]]] = [[[]] for _ in range(count)]
    scores = [[0.0] for _ in range(count)]
    ranks = [[0.0] for _ in range(count)]
    rows = [[row] for row in range(count)]
    for _ in range(longest):
        log_probs = steps.log_probs
        moves: list[tuple[int, int]] = []
        best, chosen = log_probs.topk(min((tried or width) + 1, log_probs.shape[1]), dim=1)
        for group, own in enumerate(groups):
            if not rows[group]:
                continue
            source = draws[group] if draws else None
            children = _children(best[rows[group]], scores[group], ranks[group], source)
            order = sorted(children, key=lambda child: -child[0])
            new: tuple[list[list[int]], list[float], list[float], list[int]] = ([], [], [], [])
            for rank, score, beam, place in order:
                if len(new[0]) == width:
                    break
                token = int(chosen[rows[group][beam], place])
                if token == end:
                    own.add(rank, Beam(paths[group][beam], score, ended=True), width)
                    continue
                new[0].append([*paths[group][beam], token])
                new[1].append(score)
                new[2].append(rank)
                new[3].append(len(moves))
                moves.append((rows[group][beam], token))
            if new[0] and own.closed(new[2][0], width):
                del moves[new[3][0] :]
                new = ([], [], [], [])
            paths[group], scores[group], ranks[group], rows[group] = new
        if not moves:
            break
        device = log_probs.device
        steps = steps.moved(*(torch.tensor(part, device=device) for part in zip(*moves, strict=True)))
    left = zip(groups, paths, scores, ranks, strict=True)
    return [_best(group, own, score, rank, width) for group, own, score, rank in left]


def _best(group: _Group, paths: list[list[int]], scores: list[float], ranks: list[float], width: int) -> list[Beam]:
    """What is finished, then what is not."""
    found = [beam for _, beam in group.finished]
    left = sorted(zip(ranks, scores, paths, strict=True), key=lambda one: -one[0])
    return [*found, *(Beam(tokens, score, ended=False) for _, score, tokens in left)][:width]


def _children(
    best: Tensor, scores: Sequence[float], ranks: Sequence[float], source: torch.Generator | None
) -> list[tuple[float, float, int, int]]:
    """Rank, log probability, beam and place of every continuation of a group's beams. Shape: best (beams, tried)."""
    total = best.double().cpu() + torch.tensor(scores, dtype=torch.float64)[:, None]
    rank = total if source is None else _with_noise(total, torch.tensor(ranks, dtype=torch.float64), source)
    rows, places = torch.isfinite(total).nonzero(as_tuple=True)
    found = zip(
        rank[rows, places].tolist(), total[rows, places].tolist(), rows.tolist(), places.tolist(), strict=True
    )
    return list(found)


def _with_noise(total: Tensor, ranks: Tensor, source: torch.Generator) -> Tensor:
    """Gumbel noise whose greatest sum of each beam is the beam's own rank. Shape: (beams, tried), ranks (beams,)."""
    uniform = torch.rand(total.shape, generator=source, dtype=torch.float64, device="cpu").clamp(1e-12, 1 - 1e-12)
    noisy = total - torch.log(-torch.log(uniform))
    greatest = noisy.amax(dim=1, keepdim=True)
    spread = ranks[:, None] - noisy + torch.log1p(-torch.exp((noisy - greatest).clamp_max(-1e-12)))
    found = ranks[:, None] - spread.clamp_min(0.0) - torch.log1p(torch.exp(-spread.abs()))
    return torch.where(noisy == greatest, ranks[:, None], found)
