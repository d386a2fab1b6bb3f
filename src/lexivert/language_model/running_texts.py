"""Texts that grow at their end, scored by a language model as they stand: what of a text was read before is kept.

A tokeniser cuts a text as a whole, so what is written behind it may change its last tokens: "is" and "isn't". Each
longer text is therefore cut anew, and read from the last token that it has in common with the text it grew from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lexivert.language_model.causal import Beginnings, CausalLanguageModel


@dataclass(frozen=True)
class RunningTexts:
    """B texts as far as they go.

    Attributes:
        model: reads them.
        start: nothing read, one row.
        read: what was read of each.
        tokens: of each text.
        log_probs: of those tokens.
    """

    model: CausalLanguageModel
    start: Beginnings
    read: Beginnings
    tokens: list[list[int]]
    log_probs: list[list[float]]

    @classmethod
    def empty(cls, model: CausalLanguageModel) -> RunningTexts:
        """One text without a character."""
        start = model.begin()
        return cls(model, start, start, [[]], [[]])

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, rows: Sequence[int]) -> RunningTexts:
        """Some of them, in any order, repeated or not."""
        chosen = torch.tensor(rows, dtype=torch.int64, device=self.model.device)
        tokens, log_probs = [self.tokens[row] for row in rows], [self.log_probs[row] for row in rows]
        return RunningTexts(self.model, self.start, self.read[chosen], tokens, log_probs)

    @property
    def log_probability(self) -> Tensor:
        """Of each text as it stands. Shape: (B,)."""
        return torch.tensor([sum(own) for own in self.log_probs], device=self.model.device)

    def grown(self, rows: Sequence[int], texts: Sequence[str]) -> RunningTexts:
        """Longer texts, each read on from one of these.

        Args:
            rows: which of these each grew from; any one will do, but one with the same beginning is read the least.
            texts: as they stand then.
        """
        tokens = self.model.tokens(texts)
        common = [_in_common(self.tokens[row], own) for row, own in zip(rows, tokens, strict=True)]
        kept = [  # of a text that goes on elsewhere the last common token is read again, for what comes after it
            count if count == len(self.tokens[row]) else max(count - 1, 0)
            for row, count in zip(rows, common, strict=True)
        ]
        again = torch.tensor([count < len(self.tokens[row]) for row, count in zip(rows, common, strict=True)])
        read = self._up_to(rows, kept, again.to(self.model.device))
        longer, gained = self.model.read_on(read, [own[count:] for own, count in zip(tokens, kept, strict=True)])
        log_probs = [
            [*self.log_probs[row][:count], *new[count - first : len(own) - first]]
            for row, own, count, first, new in zip(rows, tokens, common, kept, gained.tolist(), strict=True)
        ]
        return RunningTexts(self.model, self.start, longer, tokens, log_probs)

    def _up_to(self, rows: Sequence[int], kept: Sequence[int], again: Tensor) -> Beginnings:
        """What was read of some texts, up to so many tokens where they are to be read anew. Shape: again (b,)."""
        device = self.model.device
        read = self.read[torch.tensor(rows, dtype=torch.int64, device=device)]
        if not bool(again.any()):
            return read
        counts = torch.tensor(kept, device=device)
        started = int(self.start.read.sum())
        earlier = read.unread(counts + started)
        mask = torch.where(again[:, None], earlier.read, read.read)
        following = torch.where((again & (counts == 0))[:, None], self.start.log_probs, read.log_probs)
        return Beginnings(read.cache, mask, following)


def _in_common(one: Sequence[int], other: Sequence[int]) -> int:
    """Tokens that both begin with."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
