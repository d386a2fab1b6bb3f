"""Texts for semantic prefixes alone: the same Selector, with no evidence of any unit.

Positions are filled one at a time, the surest first (mask-predict, Ghazvininejad et al. 2019). Nothing tells the
words but what the prefix makes likely, so this is a guess at the meaning, not a reading.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.priors.base import Prior
from lexivert.priors.selector import Context
from lexivert.text.lexicon import NEVER

_REPEATABLE = 48
"""So many most probable units may occur more than once in a text: commas and articles, not what it is about."""
_LONGEST = 64
_DRAFTS = 6
_ROUNDS, _REVISIONS = 12, 4  # of revision, and texts tried in each
_REVISED_SHARE = 0.15  # of a text's units that a revision writes anew
_CONSIDERED = 1024  # units a draft is made of
_DRAFT_TEMPERATURE = 0.7


class HillClimbing:
    """Drafts several texts for each prefix, keeps the one whose own embedding comes nearest, and revises it.

    A revision writes some of the units anew, and stays if it comes nearer: hill climbing on the backbone's cosine, to
    which vec2text's corrections are trained (Morris et al. 2023); here nothing is.

    Args:
        prior: the Selector's.
        encoder: backbone and lexicon.
    """

    def __init__(self, prior: Prior, encoder: Encoder) -> None:
        self.encoder = encoder
        self._drafter = MaskPredict(prior, encoder.config.code.max_units + 1)

    def without(self, units: Sequence[int]) -> HillClimbing:
        """The same reader for texts that hold none of some units."""
        return HillClimbing(self._drafter.prior.without(units), self.encoder)

    def read(self, semantic: Tensor, fixed: Tensor | None = None) -> list[list[int]]:
        """One text in units for each prefix, whatever other prefixes are read beside it.

        Args:
            semantic: prefixes of any positive length. Shape: (B, S).
            fixed: units known beforehand, -1 elsewhere. Shape: (B, P).
        """
        if fixed is None:
            fixed = torch.full((len(semantic), self._drafter.positions), -1)
        drafts = [
            self._drafter.decode(semantic, fixed, _DRAFT_TEMPERATURE if seed else 0.0, _draws(seed, len(semantic)))
            for seed in range(_DRAFTS)
        ]
        texts, near = self._nearer(semantic, drafts, drafts[0], torch.full((len(semantic),), -torch.inf))
        for first in range(_DRAFTS, _DRAFTS + _ROUNDS * _REVISIONS, _REVISIONS):
            seeds = range(first, first + _REVISIONS)
            drafts = [self._revised(semantic, texts, fixed, seed) for seed in seeds]
            texts, near = self._nearer(semantic, drafts, texts, near)
        return texts

    def _nearer(
        self, semantic: Tensor, drafts: Sequence[list[list[int]]], texts: list[list[int]], near: Tensor
    ) -> tuple[list[list[int]], Tensor]:
        """For each prefix the draft whose embedding has most cosine with it, unless its text so far has as much.

        Shape: semantic (B, S); near (B,), cosines of the texts so far; result the B texts, and their cosines (B,).
        """
        written = [self.encoder.segmenter.join(units) for draft in drafts for units in draft]
        embedded = torch.from_numpy(self.encoder.backbone.encode(written)).view(len(drafts), len(semantic), -1)
        most, nearest = F.cosine_similarity(embedded, semantic[None], dim=2).max(dim=0)
        better = (most > near).tolist()
        texts = [drafts[place][row] if better[row] else texts[row] for row, place in enumerate(nearest.tolist())]
        return texts, torch.maximum(most, near)

    def _revised(self, semantic: Tensor, texts: Sequence[list[int]], fixed: Tensor, seed: int) -> list[list[int]]:
        """Texts of the same lengths; some of their units, at least one but no known one, are written anew."""
        draws = _draws(seed, len(texts))
        kept = fixed.clone()
        for row, units in enumerate(texts):
            free = fixed[row, : len(units)] < 0
            chance = torch.rand(len(units), generator=draws[row]).masked_fill(~free, 1.0)
            opened = free & (chance <= chance.min().clamp_min(_REVISED_SHARE)) if len(units) else free
            kept[row, : len(units)] = torch.where(opened, -1, torch.tensor(units, dtype=torch.int64))
        length = torch.tensor([len(units) for units in texts])
        return self._drafter.decode(semantic, kept, _DRAFT_TEMPERATURE, draws, length)


class MaskPredict:
    """Fills texts in from what their prefix makes likely.

    Args:
        prior: the Selector's.
        positions: most units a text holds, plus one.
    """

    def __init__(self, prior: Prior, positions: int) -> None:
        self.prior = prior
        self.positions = positions
        bias = prior.table[:, -1]
        self._once = torch.ones(len(bias), dtype=torch.bool)
        self._once[bias.topk(min(_REPEATABLE, len(bias))).indices] = False

    @torch.inference_mode()
    def decode(
        self,
        semantic: Tensor,
        fixed: Tensor,
        temperature: float,
        draws: Sequence[torch.Generator],
        length: Tensor | None = None,
    ) -> list[list[int]]:
        """One text for each prefix.

        Args:
            semantic: prefixes. Shape: (B, S).
            fixed: units known beforehand, -1 elsewhere. Shape: (B, P).
            temperature: of the draw among units and lengths; 0 takes the likeliest.
            draws: where each text's draws come from. Length: B.
            length: units in each text, if known. Shape: (B,).
        """
        semantic = F.normalize(semantic, dim=-1)
        if length is None:
            length = self._lengths(semantic, (fixed >= 0).sum(dim=1), temperature, draws)
        n = max(int(length.max()), 1)
        inside = torch.arange(n) < length[:, None]
        units = torch.where(inside, fixed[:, :n], -1)
        likely = self._likely(Context.certain(units, length, semantic, torch.ones(len(units))))
        vectors = self.prior.table[likely].transpose(1, 2).contiguous()
        used = (likely[:, :, None] == units[:, None, :]).any(dim=2)
        while len(rows := (inside & (units < 0)).any(dim=1).nonzero()[:, 0]):
            context = Context.certain(units[rows], length[rows], semantic[rows], torch.ones(len(rows)))
            logits = torch.bmm(self.prior.queries(context), vectors[rows])
            logits.masked_fill_((used[rows] & self._once[likely[rows]])[:, None, :], NEVER)
            logits = logits.log_softmax(dim=2)
            is_open = (inside & (units < 0))[rows]
            surest = logits.amax(dim=2).masked_fill(~is_open, -torch.inf).argmax(dim=1)
            chosen = logits[torch.arange(len(rows)), surest]
            place = _pick(chosen, temperature, [draws[row] for row in rows.tolist()])
            units[rows, surest] = likely[rows, place]
            used[rows, place] = True
        return [row[:count].tolist() for row, count in zip(units, length.tolist(), strict=True)]

    def _likely(self, context: Context) -> Tensor:
        """Units that prefix and known units make likeliest somewhere. Shape: (B, at most _CONSIDERED)."""
        queries = self.prior.queries(context).mean(dim=1)
        return (queries @ self.prior.table.T).topk(min(_CONSIDERED, len(self._once)), dim=1).indices

    def _lengths(
        self, semantic: Tensor, known: Tensor, temperature: float, draws: Sequence[torch.Generator]
    ) -> Tensor:
        """Lengths that the prefixes make likely, of no fewer units than are known. Shape: known (B,), result (B,)."""
        context = Context.certain(torch.full((len(semantic), 1), -1), known, semantic, torch.ones(len(semantic)))
        logits = self.prior.log_length(context, self.positions)
        places = torch.arange(self.positions)
        longest = known.clamp_min(_LONGEST)
        logits = logits.masked_fill((places < known.clamp_min(1)[:, None]) | (places > longest[:, None]), NEVER)
        return _pick(logits, temperature, draws)


def _draws(seed: int, count: int) -> list[torch.Generator]:
    """Equal sources of draws, one a text, so that no text depends on what is written beside it."""
    return [torch.Generator().manual_seed(seed) for _ in range(count)]


def _pick(logits: Tensor, temperature: float, draws: Sequence[torch.Generator]) -> Tensor:
    """Likeliest entry of each row at temperature 0, else a draw. Shape: (B, M) to (B,)."""
    if temperature == 0.0:
        return logits.argmax(dim=1)
    uniform = torch.stack([torch.rand(logits.shape[1], generator=own) for own in draws])
    noise = -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
    return (logits / temperature + noise).argmax(dim=1)
