"""Texts for semantic prefixes alone: the same Selector, with no evidence of any unit.

Positions are filled one at a time, the surest first (mask-predict, Ghazvininejad et al. 2019). Nothing tells the
words but what the prefix makes likely, so this is a guess at the meaning, not a reading.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.controller.prior import Prior
from lexivert.controller.selector import Context
from lexivert.encoder.encoder import Encoder
from lexivert.lexicon.units import NEVER

_REPEATABLE = 48
"""So many most probable units may occur more than once in a text: commas and articles, not what it is about."""
_LONGEST = 64


_DRAFTS = 6
_CONSIDERED = 2048  # units a draft is made of
_DRAFT_TEMPERATURE = 0.7


class MeaningReader:
    """Drafts several texts for each prefix and keeps the one whose own embedding comes nearest.

    Comparing drafts by the backbone is what vec2text does with its corrections (Morris et al. 2023), here once.

    Args:
        prior: the Selector's.
        encoder: backbone and lexicon.
    """

    def __init__(self, prior: Prior, encoder: Encoder) -> None:
        self.encoder = encoder
        self._drafter = MeaningDecoder(prior, encoder.layout.code.max_units + 1)

    def without(self, units: Sequence[int]) -> MeaningReader:
        """The same reader for texts that hold none of some units."""
        return MeaningReader(self._drafter.prior.without(units), self.encoder)

    def read(self, semantic: Tensor, fixed: Tensor | None = None) -> list[list[int]]:
        """One text in units for each prefix.

        Args:
            semantic: prefixes of any positive length. Shape: (B, S).
            fixed: units known beforehand, -1 elsewhere. Shape: (B, P).
        """
        drafts = [
            self._drafter.decode(semantic, fixed, _DRAFT_TEMPERATURE if number else 0.0, number)
            for number in range(_DRAFTS)
        ]
        texts = [self.encoder.segmenter.join(units) for draft in drafts for units in draft]
        embedded = torch.from_numpy(self.encoder.backbone.encode(texts)).view(_DRAFTS, len(semantic), -1)
        nearest = F.cosine_similarity(embedded, semantic[None], dim=2).argmax(dim=0).tolist()
        return [drafts[draft][row] for row, draft in enumerate(nearest)]


class MeaningDecoder:
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
    def decode(self, semantic: Tensor, fixed: Tensor | None, temperature: float, seed: int) -> list[list[int]]:
        """One text for each prefix.

        Args:
            semantic: prefixes. Shape: (B, S).
            fixed: units known beforehand, -1 elsewhere. Shape: (B, P).
            temperature: of the draw among units and lengths; 0 takes the likeliest.
            seed: of the draw.
        """
        generator = torch.Generator().manual_seed(seed)
        semantic = F.normalize(semantic, dim=-1)
        known = torch.zeros(len(semantic), dtype=torch.int64) if fixed is None else (fixed >= 0).sum(dim=1)
        length = self._lengths(semantic, known, temperature, generator)
        n = max(int(length.max()), 1)
        inside = torch.arange(n) < length[:, None]
        units = torch.full((len(semantic), n), -1)
        if fixed is not None:
            units = torch.where(inside, fixed[:, :n], -1)
        context = Context.certain(units, length, semantic, torch.ones(len(units)))
        likely = self._likely(context)
        vectors = self.prior.table[likely].transpose(1, 2).contiguous()
        used = torch.zeros(likely.shape, dtype=torch.bool)
        while bool((inside & (units < 0)).any()):
            queries = self.prior.queries(Context.certain(units, length, semantic, torch.ones(len(units))))
            logits = torch.bmm(queries, vectors)
            logits.masked_fill_((used & self._once[likely])[:, None, :], NEVER)
            logits = logits.log_softmax(dim=2)
            is_open = inside & (units < 0)
            rows = is_open.any(dim=1).nonzero()[:, 0]
            surest = logits.amax(dim=2).masked_fill(~is_open, -torch.inf).argmax(dim=1)[rows]
            place = _pick(logits[rows, surest], temperature, generator)
            units[rows, surest] = likely[rows, place]
            used[rows, place] = True
        return [row[:count].tolist() for row, count in zip(units, length.tolist(), strict=True)]

    def _likely(self, context: Context) -> Tensor:
        """Units that each prefix makes likeliest before anything is filled in. Shape: (B, at most _CONSIDERED)."""
        queries = self.prior.queries(context).mean(dim=1)
        return (queries @ self.prior.table.T).topk(min(_CONSIDERED, len(self._once)), dim=1).indices

    def _lengths(self, semantic: Tensor, known: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        context = Context.certain(torch.full((len(semantic), 1), -1), known, semantic, torch.ones(len(semantic)))
        logits = self.prior.log_length(context, self.positions)
        places = torch.arange(self.positions)
        logits = logits.masked_fill((places < known[:, None]) | (places > _LONGEST) | (places < 1), NEVER)
        return _pick(logits, temperature, generator)


def _pick(logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    """Likeliest entry of each row at temperature 0, else a draw. Shape: (B, M) to (B,)."""
    if temperature == 0.0:
        return logits.argmax(dim=1)
    noise = -torch.log(-torch.log(torch.rand(logits.shape, generator=generator).clamp(1e-9, 1 - 1e-7)))
    return (logits / temperature + noise).argmax(dim=1)
