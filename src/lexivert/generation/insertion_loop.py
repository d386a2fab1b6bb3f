"""The loop of Selector and Placer: texts written by insertions into a buffer, until nothing is missing.

Each turn the Selector looks at target and buffer and gives an intention vector, FAISS its nearest units, and the
Placer the best pair of unit and slot. A unit that does not belong where it stands is taken out instead: the turns
after it move it or put another one in its place. Units are words and phrases, so a turn may write several words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lexivert.config import IndexParams
from lexivert.generation.expectations import Seen, Targets
from lexivert.generation.insertion_networks import InsertionNetworks
from lexivert.generation.mask_predict import REPEATABLE
from lexivert.generation.placement import Placements
from lexivert.priors.base import Prior
from lexivert.priors.selector_data import padded
from lexivert.search import faiss_index
from lexivert.text.lexicon import NEVER

if TYPE_CHECKING:
    import faiss

_CANDIDATES = 64  # nearest units of an intention vector, K
_LONGEST = 64  # units of a text
_TAKEN_OUT = 4  # units that may be taken out of a text, in all its turns
_SURELY_WRONG = 0.0  # logit from which on a unit is taken out
_OPEN = 0.0  # logit from which on something is missing in a slot


class IntentionIndex:
    """FAISS over the prior's unit vectors with their biases, so that a product is a logit.

    Args:
        prior: over units.
        params: kind of the index.
    """

    def __init__(self, prior: Prior, params: IndexParams) -> None:
        self._layer = prior.output
        self._params = params.model_copy(update={"search_dims": 0})

    @cached_property
    def _index(self) -> faiss.Index:
        layer = self._layer
        index = faiss_index.build(torch.cat((layer.weight, layer.bias[:, None]), dim=1), self._params)
        faiss_index.set_search_width(index, self._params)
        return index

    def nearest(self, intention: Tensor, count: int) -> Tensor:
        """Units with the largest logits, -1 where fewer were found. Shape: (B, E) to (B, count)."""
        queries = torch.cat((intention, intention.new_ones(len(intention), 1)), dim=1)
        return faiss_index.shortlist(self._index, queries, count)


@dataclass(frozen=True)
class Buffers:
    """Texts in the making.

    Attributes:
        targets: what the texts are to say.
        units: of each buffer.
        fixed: so many units at the beginning of every text stay as they are.
        draws: where each text's draws come from, on the CPU.
    """

    targets: Targets
    units: list[list[int]]
    fixed: int
    draws: list[torch.Generator]

    def only(self, rows: Sequence[int]) -> Buffers:
        """Some of the texts; their lists of units are the same objects."""
        chosen = list(rows)
        return Buffers(
            self.targets.only(chosen),
            [self.units[row] for row in chosen],
            self.fixed,
            [self.draws[row] for row in chosen],
        )


class InsertionLoop:
    """Completes buffers.

    Args:
        prior: over units; what it rules out is never inserted.
        networks: trained on its unit vectors.
        index: over all of its units, those that are ruled out included.
        repeatable: so many most probable units may occur more than once in a text.
    """

    def __init__(
        self, prior: Prior, networks: InsertionNetworks, index: IntentionIndex, repeatable: int = REPEATABLE
    ) -> None:
        self.prior, self.networks, self.index, self.repeatable = prior, networks, index, repeatable
        bias = prior.output.bias
        self._once = torch.ones_like(bias, dtype=torch.bool)
        self._once[bias.topk(min(repeatable, len(bias))).indices] = False

    def without(self, units: Sequence[int]) -> InsertionLoop:
        """The same loop, which never inserts some units."""
        return InsertionLoop(self.prior.without(units), self.networks, self.index, self.repeatable)

    def begin(
        self, targets: Targets, units: Sequence[Sequence[int]], fixed: int, draws: Sequence[torch.Generator]
    ) -> Buffers:
        """Buffers with something in them already; arguments as the attributes of ``Buffers``."""
        return Buffers(targets, [list(own) for own in units], fixed, list(draws))

    @torch.inference_mode()
    def targets(self, prefixes: Tensor) -> Targets:
        """What the prior expects of sentence embeddings of unit length. Shape: (B, S)."""
        return Targets.of(self.prior, prefixes, self.networks.sizes.positions)

    @torch.inference_mode()
    def complete(self, buffers: Buffers, temperature: float, at_least: int = 0) -> list[list[int]]:
        """Take turns until nothing is missing and nothing is wrong.

        Args:
            buffers: not changed.
            temperature: of the draw among pairs of unit and slot; 0 takes the likeliest.
            at_least: so many turns are taken, whatever the Placer says of what is missing.
        """
        texts = replace(buffers, units=[list(own) for own in buffers.units])
        left = dict.fromkeys(range(len(texts.units)), _TAKEN_OUT)
        active = list(left)
        for turn in range(_LONGEST + _TAKEN_OUT):
            if not active:
                break
            needed = -torch.inf if turn < at_least else _OPEN
            active = self._turn(texts, active, left, temperature, needed)
        return texts.units

    def judge(self, buffers: Buffers) -> tuple[Tensor, Placements]:
        """Intention vectors and what the Placer says, of units that may not be changed included."""
        units, length = padded(buffers.units)
        device = buffers.targets.prefix.device
        seen = Seen.of(self.prior, buffers.targets, units.to(device), length.to(device))
        intention, placed = self.networks(seen)
        return intention, placed

    def _turn(
        self, texts: Buffers, active: list[int], left: dict[int, int], temperature: float, needed: float
    ) -> list[int]:
        """One turn of each active text, whose units change; return those that are still active.

        ``needed`` is the logit of an open slot from which on something is inserted.
        """
        some = texts.only(active)
        intention, placed = self.judge(some)
        wrong, place = (
            placed.wrong[:, texts.fixed :].max(dim=1) if placed.wrong.shape[1] > texts.fixed else (None, None)
        )
        opened = placed.open[:, texts.fixed :].amax(dim=1).tolist()
        inserting = []
        for row, text in enumerate(active):
            own = texts.units[text]
            if wrong is not None and place is not None and float(wrong[row]) > _SURELY_WRONG and left[text]:
                del own[texts.fixed + int(place[row])]
                left[text] -= 1
            elif opened[row] > needed and len(own) < _LONGEST:
                inserting.append(row)
            else:
                left.pop(text)
        self._insert(some.only(inserting), intention[inserting], _rows(placed, inserting), temperature)
        return [text for text in active if text in left]

    def _insert(self, some: Buffers, intention: Tensor, placed: Placements, temperature: float) -> None:
        """Insert the best pair of unit and slot into each buffer, in place."""
        if not some.units:
            return
        units = self.index.nearest(intention, _CANDIDATES).clamp_min(0)
        layer = self.prior.output
        logits = torch.baddbmm(layer.bias[units][:, None, :], placed.queries, layer.weight[units].transpose(1, 2))
        logits += placed.slots[:, :, None]
        there, _ = padded(some.units)
        used = (units[:, :, None] == there.to(units.device)[:, None, :]).any(dim=2) & self._once[units]
        logits.masked_fill_(used[:, None, :] | _beside_itself(units, there.to(units.device), logits), NEVER)
        logits[:, : some.fixed] = NEVER
        for row, (slot, candidate) in enumerate(_best(logits, temperature, some.draws)):
            some.units[row].insert(slot, int(units[row, candidate]))


def _beside_itself(candidates: Tensor, there: Tensor, logits: Tensor) -> Tensor:
    """Whether a candidate would stand beside the same unit. Shape: (B, K), (B, n), (B, Q, K) to (B, Q, K)."""
    around = there.new_full((len(there), logits.shape[1] + 1), -1)
    around[:, 1 : there.shape[1] + 1] = there
    same = around[:, :, None] == candidates[:, None, :]
    return same[:, :-1] | same[:, 1:]


def _rows(placed: Placements, rows: Sequence[int]) -> Placements:
    chosen = list(rows)
    return Placements(placed.queries[chosen], placed.slots[chosen], placed.open[chosen], placed.wrong[chosen])


def _best(logits: Tensor, temperature: float, draws: Sequence[torch.Generator]) -> list[tuple[int, int]]:
    """Best slot and candidate of each text, or a draw by the Gumbel-max trick.

    As many numbers are drawn for every text, however many slots there are, so that no draw depends on other texts.

    Shape: (B, Q, K) to B pairs.
    """
    if temperature > 0.0:
        shape = (_LONGEST + 1, logits.shape[2])
        uniform = torch.stack([torch.rand(shape, generator=own, device="cpu") for own in draws])
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-9, 1 - 1e-7)))
        logits = logits / temperature + gumbel[:, : logits.shape[1]].to(logits.device)
    found = logits.flatten(1).argmax(dim=1).tolist()
    return [divmod(place, logits.shape[2]) for place in found]
