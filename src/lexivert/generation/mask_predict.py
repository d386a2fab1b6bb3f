"""Mask-predict: a text filled in unit by unit, the surest position first, from a prior over units alone.

After Ghazvininejad et al. (2019). Nothing tells the units but what prefix and neighbours make likely, so this is a
guess at the meaning, not a reading.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.priors.base import Belief, Prior
from lexivert.text.lexicon import NEVER

REPEATABLE = 48
"""Most probable units that may occur more than once in a text: commas and articles, not what it is about."""
_LONGEST = 64
_CONSIDERED = 1024  # units a draft is made of


class MaskPredict:
    """Fills texts in from what their prefix makes likely.

    Args:
        prior: over units and lengths.
        positions: most units a text may have, plus one.
        repeatable: so many most probable units may occur more than once in a text.
    """

    def __init__(self, prior: Prior, positions: int, repeatable: int = REPEATABLE) -> None:
        self.prior = prior
        self.positions = positions
        bias = prior.output.bias
        self._once = torch.ones_like(bias, dtype=torch.bool)
        self._once[bias.topk(min(repeatable, len(bias))).indices] = False

    @torch.inference_mode()
    def decode(
        self,
        prefixes: Tensor,
        known: Tensor,
        temperature: float,
        draws: Sequence[torch.Generator],
        length: Tensor | None = None,
    ) -> list[list[int]]:
        """One text for each prefix.

        Args:
            prefixes: semantic prefixes. Shape: (B, S).
            known: units known beforehand, -1 elsewhere. Shape: (B, N).
            temperature: of the draw among units and lengths; 0 takes the likeliest.
            draws: where each text's draws come from, on the CPU. Length: B.
            length: units in each text, if known. Shape: (B,).
        """
        prefixes = F.normalize(prefixes, dim=-1)
        if length is None:
            length = self._lengths(prefixes, (known >= 0).sum(dim=1), temperature, draws)
        n = max(int(length.max()), 1)
        inside = torch.arange(n, device=known.device) < length[:, None]
        units = torch.where(inside, known[:, :n], -1)
        likely = self._likely(_certain(units, length, prefixes))
        used = (likely[:, :, None] == units[:, None, :]).any(dim=2)
        layer = self.prior.output
        vectors, bias = layer.weight[likely].transpose(1, 2).contiguous(), layer.bias[likely]
        while len(rows := (inside & (units < 0)).any(dim=1).nonzero()[:, 0]):
            queries = self.prior.queries(_certain(units[rows], length[rows], prefixes[rows]))
            logits = torch.baddbmm(bias[rows][:, None, :], queries, vectors[rows])
            logits.masked_fill_((used[rows] & self._once[likely[rows]])[:, None, :], NEVER)
            logits = logits.log_softmax(dim=2)
            is_open = (inside & (units < 0))[rows]
            surest = logits.amax(dim=2).masked_fill(~is_open, -torch.inf).argmax(dim=1)
            chosen = logits[torch.arange(len(rows), device=rows.device), surest]
            place = pick(chosen, temperature, [draws[row] for row in rows.tolist()])
            units[rows, surest] = likely[rows, place]
            used[rows, place] = True
        return [row[:count].tolist() for row, count in zip(units, length.tolist(), strict=True)]

    def _likely(self, belief: Belief) -> Tensor:
        """Units that prefix and known units make likeliest somewhere. Shape: (B, at most _CONSIDERED)."""
        logits = self.prior.output.logits(self.prior.queries(belief).mean(dim=1))
        return logits.topk(min(_CONSIDERED, len(self._once)), dim=1).indices

    def _lengths(
        self, prefixes: Tensor, known: Tensor, temperature: float, draws: Sequence[torch.Generator]
    ) -> Tensor:
        """Lengths that the prefixes make likely, of no fewer units than are known. Shape: known (B,), result (B,)."""
        logits = self.prior.log_length(Belief.empty(1, known, prefixes), self.positions)
        lengths = torch.arange(self.positions, device=known.device)
        most = known.clamp_min(_LONGEST)
        logits = logits.masked_fill((lengths < known.clamp_min(1)[:, None]) | (lengths > most[:, None]), NEVER)
        return pick(logits, temperature, draws)


def equal_draws(seed: int, count: int) -> list[torch.Generator]:
    """Equal sources of draws, one a text, so that no text depends on what is written beside it."""
    return [torch.Generator().manual_seed(seed) for _ in range(count)]


def _certain(units: Tensor, length: Tensor, prefixes: Tensor) -> Belief:
    return Belief.certain(units, length, prefixes, torch.ones_like(length, dtype=prefixes.dtype))


def pick(logits: Tensor, temperature: float, draws: Sequence[torch.Generator]) -> Tensor:
    """Likeliest entry of each row at temperature 0, else a draw by the Gumbel-max trick. Shape: (B, m) to (B,)."""
    if temperature == 0.0:
        return logits.argmax(dim=1)
    uniform = torch.stack([torch.rand(logits.shape[1], generator=own, device="cpu") for own in draws])
    noise = -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
    return (logits / temperature + noise.to(logits.device)).argmax(dim=1)
