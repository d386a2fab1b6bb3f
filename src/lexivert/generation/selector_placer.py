"""Selector and Placer as a generator: drafts by insertion, of which the nearest is revised while it comes nearer.

The third reference design of this project: the Selector says what is next, FAISS finds units, the Placer says where
(``generation.insertion_loop``). A revision takes out what the Placer believes in least, and completes the text again;
it stays only if the text's own embedding comes nearer to the target, and when nothing has for some rounds, it ends.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.controller.controller import EFFORTS
from lexivert.errors import LexivertError
from lexivert.generation.base import GENERATORS, GeneratorParts
from lexivert.generation.candidates import embed
from lexivert.generation.expectations import Targets
from lexivert.generation.in_units import InUnits
from lexivert.generation.insertion_loop import InsertionLoop, IntentionIndex
from lexivert.generation.insertion_networks import load
from lexivert.generation.mask_predict import equal_draws

FOLDER = "selector_placer"
"""Of the trained networks, in ``GeneratorParts.folder``."""
_DRAFTS = {"draft": 4, "normal": 8, "high": 16}
_ROUNDS = {"draft": 0, "normal": 12, "high": 48}  # of revision, at most
_REVISIONS = 4  # texts tried in each
_PATIENCE = 4  # rounds without a nearer text, after which a text is finished
_LONGER, _LENGTHS = 2, 8  # turns that each draft takes at least, more from draft to draft, and how many such steps
_REVISED_SHARE = 0.2  # of a text's units that a revision takes out
_TEMPERATURE = 0.7  # of drafts but the first, and of revisions
_DOUBT = 1.0  # nats of a unit's wrong logit in the choice of what is taken out, beside Gumbel noise
_SEEDS = 10**6  # draws of one seed, which no other has


@GENERATORS.register("selector_placer", label="Selector + Placer")
def selector_placer(parts: GeneratorParts) -> InUnits:
    """Texts in units, by the networks that stage ``selector_placer`` has trained.

    Raises:
        LexivertError: the model has none, or they were trained on another prior.
    """
    if parts.folder is None:
        raise LexivertError("the generator selector_placer needs its trained networks, and this model has none")
    networks = load(parts.folder / FOLDER, parts.prior)
    index = IntentionIndex(parts.prior, parts.encoder.config.index)
    loop = InsertionLoop(parts.prior, networks, index)
    writers = {name: SelectorPlacer(parts.encoder, loop, _DRAFTS[name], _ROUNDS[name]) for name in EFFORTS}
    return InUnits(parts, writers)


class SelectorPlacer:
    """Drafts several texts for each prefix, keeps the one whose own embedding comes nearest, and revises it.

    Args:
        encoder: backbone and segmenter.
        loop: completes texts.
        drafts: of each text, the first without any draw.
        rounds: of revision, at most.
    """

    def __init__(self, encoder: Encoder, loop: InsertionLoop, drafts: int, rounds: int) -> None:
        self.encoder, self.loop, self.drafts, self.rounds = encoder, loop, drafts, rounds

    def without(self, units: Sequence[int]) -> SelectorPlacer:
        """The same writer for texts without some units."""
        return SelectorPlacer(self.encoder, self.loop.without(units), self.drafts, self.rounds)

    def write(self, prefixes: Tensor, known: Tensor | None = None, seed: int = 0) -> list[list[int]]:
        """One text in units for each prefix; see ``UnitWriter``.

        Raises:
            ValueError: what is known is no beginning, the same of every text.
        """
        prefixes = torch.nn.functional.normalize(prefixes.to(self.loop.prior.output.bias.device), dim=1)
        targets, start, begin = self.loop.targets(prefixes), _beginning(known), seed * _SEEDS
        best = _Best([[] for _ in range(len(prefixes))], [-2.0] * len(prefixes))
        for number in range(self.drafts if len(prefixes) else 0):
            draws = equal_draws(begin + number, len(prefixes))
            buffers = self.loop.begin(targets, [start] * len(prefixes), len(start), draws)
            longer = _LONGER * (number % _LENGTHS)
            texts = self.loop.complete(buffers, _TEMPERATURE if number else 0.0, longer)
            self._keep(best, range(len(prefixes)), targets, texts)
        self._revise(best, targets, len(start), begin + self.drafts)
        return best.texts

    def _revise(self, best: _Best, targets: Targets, fixed: int, seed: int) -> None:
        """Revise the best texts in place, each until nothing has improved it for some rounds."""
        waited = dict.fromkeys(range(len(targets)), 0)
        for first in range(seed, seed + self.rounds * _REVISIONS, _REVISIONS):
            rows = [row for row, rounds in waited.items() if rounds < _PATIENCE]
            if not rows:
                return
            improved: set[int] = set()
            for number in range(first, first + _REVISIONS):
                longer = number - first
                texts = self._revised([best.texts[row] for row in rows], targets.only(rows), fixed, number, longer)
                improved |= self._keep(best, rows, targets, texts)
            for row in rows:
                waited[row] = 0 if row in improved else waited[row] + 1

    def _revised(
        self, texts: Sequence[list[int]], targets: Targets, fixed: int, seed: int, longer: int
    ) -> list[list[int]]:
        """Texts some of whose units were taken out, and which were completed again in at least ``longer`` turns."""
        draws = equal_draws(seed, len(texts))
        buffers = self.loop.begin(targets, texts, fixed, draws)
        with torch.inference_mode():
            wrong = self.loop.judge(buffers)[1].wrong.cpu()
        for row, units in enumerate(buffers.units):
            free = len(units) - fixed
            uniform = torch.rand(max(free, 0), generator=draws[row], device="cpu").clamp(1e-9, 1 - 1e-7)
            keys = _DOUBT * wrong[row, fixed : len(units)] - torch.log(-torch.log(uniform))
            out = keys.topk(min(max(1, round(_REVISED_SHARE * free)), max(free, 0))).indices.tolist()
            for place in sorted(out, reverse=True):
                del units[fixed + place]
        return self.loop.complete(buffers, _TEMPERATURE, longer)

    def _keep(self, best: _Best, rows: Sequence[int], targets: Targets, texts: Sequence[list[int]]) -> set[int]:
        """Keep texts that are nearer to their targets than the best so far; return their rows."""
        found = embed(self.encoder, [self.encoder.segmenter.join(units) for units in texts])
        cosines = (found * targets.prefix.cpu()[list(rows)]).sum(dim=1).tolist()
        nearer = {
            row: (units, cosine)
            for row, units, cosine in zip(rows, texts, cosines, strict=True)
            if cosine > best.cosines[row]
        }
        for row, (units, cosine) in nearer.items():
            best.texts[row], best.cosines[row] = units, cosine
        return set(nearer)


class _Best:
    """The nearest text of each prefix so far, and its cosine."""

    def __init__(self, texts: list[list[int]], cosines: list[float]) -> None:
        self.texts, self.cosines = texts, cosines


def _beginning(known: Tensor | None) -> list[int]:
    """Units at the beginning of every text."""
    if known is None or not len(known):
        return []
    start: list[int] = known[0][known[0] >= 0].tolist()
    expected = torch.full_like(known[0], -1)
    expected[: len(start)] = known[0][: len(start)]
    if not (known == expected).all():
        raise ValueError("only a beginning can be known beforehand, the same of every text")
    return start
