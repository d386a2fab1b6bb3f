"""What a language model that has read a text says of every unit to come, by the unit's first token alone.

Reading a unit takes a pass of the language model; its next-token probabilities say of all units at once how likely
each begins. How likely a unit is among those that begin alike is taken from the unigram prior. Of what goes on with a
word the language model says nothing before it reads it, as the word's tokens change: the unigram prior alone speaks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lexivert.language_model.causal import CausalLanguageModel
from lexivert.text.detokenizer import CONTINUES
from lexivert.text.lexicon import Lexicon

_COUNTED = 16384  # most frequent units, whose first tokens are counted; others add next to nothing


class FirstTokens:
    """First tokens of units.

    Args:
        language_model: whose tokens they are.
        surfaces: of the units, V of them; "" of those that write nothing by themselves, None of those that go on
            with a word.
        log_prior: unigram prior of the units. Shape: (V,).
    """

    def __init__(
        self, language_model: CausalLanguageModel, surfaces: Sequence[str | None], log_prior: Tensor
    ) -> None:
        self.language_model = language_model
        self.surfaces = surfaces
        self.log_prior = log_prior
        continues = torch.tensor([surface is None for surface in surfaces], device=log_prior.device)
        among = log_prior - log_prior[continues].logsumexp(dim=0)
        silent = torch.tensor([surface == "" for surface in surfaces], device=log_prior.device)
        self._untold = torch.where(continues, among, torch.nan).masked_fill(silent, 0.0)
        self._first: dict[int, tuple[int, int]] = {}
        told = log_prior.masked_fill(continues | silent, -torch.inf)
        frequent = told.topk(min(_COUNTED, len(told))).indices
        # Summed in double precision on the CPU, since not every device has it.
        alike = torch.zeros(language_model.vocabulary, dtype=torch.float64)
        alike.index_add_(0, self.of(frequent)[0].cpu(), told[frequent].cpu().double().exp())
        self._log_alike = alike.log().float().to(log_prior.device)

    def of(self, units: Tensor) -> Tensor:
        """First token of each unit behind a space, and without one. Shape: (k,) to (2, k)."""
        asked = units.tolist()
        new = [unit for unit in asked if unit not in self._first]
        words = [self.surfaces[unit] or "" for unit in new]
        tokens = self.language_model.tokens([f" {word}" for word in words] + words)
        first = [own[0] if own else self.language_model.start_id for own in tokens]
        self._first.update(zip(new, zip(first[: len(new)], first[len(new) :], strict=True), strict=True))
        return torch.tensor([self._first[unit] for unit in asked], device=units.device).view(-1, 2).T

    def log_probs(self, following: Tensor, units: Tensor) -> Tensor:
        """Log probability of units as far as it is known.

        Args:
            following: log probabilities of the next token of each text. Shape: (b, T).
            units: Shape: (k,).

        Shape: (b, k).
        """
        first, prior = self.of(units), self.log_prior[units]
        alike = self._log_alike[first[0]]
        told = following.to(units.device)[:, first].amax(dim=1) + prior - torch.maximum(alike, prior)
        untold = self._untold[units]
        return torch.where(untold.isnan(), told, untold)


def spoken(lexicon: Lexicon) -> list[str | None]:
    """Surfaces of a lexicon's units as ``FirstTokens`` takes them."""
    found: list[str | None] = list(lexicon.surfaces)
    for unit, kind in enumerate(lexicon.kinds):
        if kind == "byte" or lexicon.surfaces[unit].startswith(CONTINUES):
            found[unit] = None
        elif kind == "control":
            found[unit] = ""
    return found
