"""Hill climbing on the backbone's cosine: the nearest draft of mask-predict, revised while it comes nearer.

vec2text (Morris et al. 2023) trains a network to propose its corrections; here they are drawn from the prior.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.controller.controller import Effort
from lexivert.generation.base import GENERATORS, GeneratorParts
from lexivert.generation.candidates import embed
from lexivert.generation.in_units import InUnits
from lexivert.generation.mask_predict import REPEATABLE, MaskPredict, equal_draws
from lexivert.priors.base import Prior

_DRAFTS = 6
_ROUNDS: dict[Effort, int] = {"draft": 0, "normal": 12, "high": 48}  # of revision
_REVISIONS = 4  # texts tried in each
_SEEDS = 10**6  # draws of one seed, which no other has
_REVISED_SHARE = 0.15  # of a text's units that a revision writes anew
_TEMPERATURE = 0.7  # of drafts but the first, and of revisions


@GENERATORS.register("hill_climbing", label="hill climbing")
def hill_climbing(parts: GeneratorParts) -> InUnits:
    """Texts in units, drafted by the prior and revised."""
    writers = {effort: HillClimbing(parts.encoder, parts.prior, rounds) for effort, rounds in _ROUNDS.items()}
    return InUnits(parts, writers)


class HillClimbing:
    """Drafts several texts for each prefix, keeps the one whose own embedding comes nearest, and revises it.

    Args:
        encoder: backbone and segmenter.
        prior: over units and lengths.
        rounds: of revision.
        repeatable: so many most probable units may occur more than once in a text.
    """

    def __init__(self, encoder: Encoder, prior: Prior, rounds: int, repeatable: int = REPEATABLE) -> None:
        self.encoder = encoder
        self.rounds, self.repeatable = rounds, repeatable
        self._drafter = MaskPredict(prior, encoder.config.code.max_units + 1, repeatable)

    def without(self, units: Sequence[int]) -> HillClimbing:
        """The same writer for texts without some units."""
        return HillClimbing(self.encoder, self._drafter.prior.without(units), self.rounds, self.repeatable)

    def write(self, prefixes: Tensor, known: Tensor | None = None, seed: int = 0) -> list[list[int]]:
        """One text in units for each prefix; see ``UnitWriter``.

        Draws do not depend on what other prefixes there are; rounding, which depends on the size of a batch, may turn
        a word.
        """
        prefixes = prefixes.to(self._drafter.prior.output.bias.device)
        if known is None:
            known = torch.full((len(prefixes), self._drafter.positions), -1, device=prefixes.device)
        known, begin = known.to(prefixes.device), seed * _SEEDS
        drafts = [
            self._drafter.decode(prefixes, known, _TEMPERATURE if own else 0.0, equal_draws(own, len(prefixes)))
            for own in range(begin, begin + _DRAFTS)
        ]
        start = prefixes.new_full((len(prefixes),), -torch.inf)
        texts, cosine = self.nearer(prefixes, drafts, drafts[0], start)
        begin += _DRAFTS
        for first in range(begin, begin + self.rounds * _REVISIONS, _REVISIONS):
            seeds = range(first, first + _REVISIONS)
            drafts = [self.revised(prefixes, texts, known, equal_draws(own, len(texts))) for own in seeds]
            texts, cosine = self.nearer(prefixes, drafts, texts, cosine)
        return texts

    def nearer(
        self, prefixes: Tensor, drafts: Sequence[list[list[int]]], texts: list[list[int]], cosine: Tensor
    ) -> tuple[list[list[int]], Tensor]:
        """For each prefix the draft whose embedding has most cosine with it, unless its text so far has as much.

        Shape: prefixes (B, S); cosine (B,), of the texts so far; result the B texts, and their cosines (B,).
        """
        written = [self.encoder.segmenter.join(units) for draft in drafts for units in draft]
        embedded = embed(self.encoder, written).to(prefixes.device)
        embedded = embedded.view(len(drafts), len(prefixes), -1)
        most, nearest = F.cosine_similarity(embedded, prefixes[None], dim=2).max(dim=0)
        better = (most > cosine).tolist()
        texts = [drafts[place][row] if better[row] else texts[row] for row, place in enumerate(nearest.tolist())]
        return texts, torch.maximum(most, cosine)

    def revised(
        self, prefixes: Tensor, texts: Sequence[list[int]], known: Tensor, draws: Sequence[torch.Generator]
    ) -> list[list[int]]:
        """Texts of the same lengths; some of their units, at least one but no known one, are written anew.

        Args:
            prefixes: sentence embeddings. Shape: (B, S).
            texts: B texts in units.
            known: units known beforehand, -1 elsewhere. Shape: (B, N).
            draws: where the choice and the units of each text come from, on the CPU.
        """
        kept = known.clone()
        for row, units in enumerate(texts):
            free = known[row, : len(units)].cpu() < 0
            chance = torch.rand(len(units), generator=draws[row], device="cpu").masked_fill(~free, 1.0)
            opened = free & (chance <= chance.min().clamp_min(_REVISED_SHARE)) if len(units) else free
            own = torch.tensor(units, dtype=torch.int64, device="cpu")
            kept[row, : len(units)] = torch.where(opened, -1, own).to(kept.device)
        length = torch.tensor([len(units) for units in texts], device=kept.device)
        return self._drafter.decode(prefixes, kept, _TEMPERATURE, draws, length)
