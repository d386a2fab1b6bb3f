"""Revision: what else a text might say, a few tokens of it written anew.

Four edits, each anywhere behind the known beginning: cut and continue to an end, replace a span, drop a span, insert.
What is written anew are the proposals' own continuations of what stands before; that they fit what stands behind is
for the ranking to say. vec2text (Morris et al. 2023) trains a network for its corrections; here they are searched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.generation import beams
from lexivert.generation.token_proposals import TRIED, Proposer

_LONGEST_SPAN = 3  # tokens that are replaced, dropped or inserted


@dataclass(frozen=True)
class Edit:
    """A beginning that is kept, and what may follow it.

    Attributes:
        row: of the text's embedding.
        kept: tokens that are kept.
        added: tokens that are written anew; 0 for as many as it takes to end.
        rest: tokens that follow then.
    """

    row: int
    kept: list[int]
    added: int
    rest: list[int]


def overshot(target: Tensor, embedding: Tensor, share: float) -> Tensor:
    """What to tell the proposals of a text: the target, and as much again of what the text lacks, unit length.

    vec2text (Morris et al. 2023) tells its network the difference of both, too, and trains it; this is not trained.

    Args:
        target: the given embeddings. Shape: (B, S).
        embedding: the texts' own. Shape: (B, S).
        share: of the difference that is added.

    Shape: (B, S).
    """
    return F.normalize(target + share * (target - embedding), dim=1)


def draw_edits(row: int, tokens: Sequence[int], known: int, count: int, draws: torch.Generator) -> list[Edit]:
    """Places for replacements and insertions, each with one to three new tokens.

    Args:
        row: of the text's embedding.
        tokens: of the text.
        known: so many tokens at its beginning stay; all of a text that has fewer.
        count: edits wanted.
        draws: where they come from, on the CPU.
    """
    known, found = min(known, len(tokens)), []
    for _ in range(count):
        start = _below(len(tokens) - known + 1, draws) + known
        dropped = _below(min(_LONGEST_SPAN, len(tokens) - start) + 1, draws)
        added = 1 + _below(_LONGEST_SPAN, draws)
        found.append(Edit(row, list(tokens[:start]), added, list(tokens[start + dropped :])))
    return found


def draw_cuts(row: int, tokens: Sequence[int], known: int, count: int, draws: torch.Generator) -> list[Edit]:
    """Places where a text is cut and continued to an end; arguments as of ``draw_edits``."""
    known = min(known, len(tokens))
    starts = [_below(max(len(tokens) - known, 1), draws) + known for _ in range(count)]
    return [Edit(row, list(tokens[:start]), 0, []) for start in starts]


def dropped_spans(tokens: Sequence[int], known: int) -> list[list[int]]:
    """The text without each span of one to three tokens, the known beginning aside."""
    known = min(known, len(tokens))
    spans = range(1, _LONGEST_SPAN + 1)
    starts = [(start, span) for span in spans for start in range(known, len(tokens) - span + 1)]
    found = [[*tokens[:start], *tokens[start + span :]] for start, span in starts]
    return [own for own in found if own]


def moved_span(tokens: Sequence[int], known: int, draws: torch.Generator) -> list[int]:
    """The text with a span of one to three tokens at another place; as it is where there is none.

    Arguments as of ``draw_edits``.
    """
    free = len(tokens) - known
    if free < 2:  # nothing can change places
        return list(tokens)
    span = 1 + _below(min(_LONGEST_SPAN, free - 1), draws)
    start = known + _below(free - span + 1, draws)
    rest = [*tokens[:start], *tokens[start + span :]]
    place = known + _below(free - span + 1, draws)
    return [*rest[:place], *tokens[start : start + span], *rest[place:]]


def written(
    proposer: Proposer,
    told: Tensor,
    edits: Sequence[Edit],
    width: int,
    longest: int,
    seeds: Sequence[int],
) -> list[list[list[int]]]:
    """Up to ``width`` texts of each edit, drawn without replacement.

    Args:
        proposer: writes what is new.
        told: what each edit is to say. Shape: (E, S).
        edits: any number.
        width: texts of each.
        longest: most new tokens of a text that is continued to its end.
        seeds: of the draws of each edit.
    """
    found: list[list[list[int]]] = [[] for _ in edits]
    for added in sorted({edit.added for edit in edits}):
        places = [place for place, edit in enumerate(edits) if edit.added == added]
        steps = proposer.begin(told[places], [edits[place].kept for place in places], may_end=not added)
        draws = [torch.Generator().manual_seed(seeds[place]) for place in places]
        new = beams.search(steps, width, added or longest, proposer.end, draws, TRIED)
        for place, own in zip(places, new, strict=True):
            texts = [[*edits[place].kept, *beam.tokens, *edits[place].rest] for beam in own]
            found[place] = [text for text in texts if text]
    return found


def _below(count: int, draws: torch.Generator) -> int:
    return int(torch.randint(count, (1,), generator=draws, device="cpu"))
