from __future__ import annotations

import numpy as np
import torch

from lexivert.generation.in_units import UnitWriter, WithoutBanned
from lexivert.text.banned import Banned
from lexivert.text.lexicon import RESERVED, Lexicon
from lexivert.text.segmentation import Segmenter

WORDS = ("by", "the", "river", "mill", "sat")
KINDS = ("control",) * 6 + ("byte",) * 256 + ("word",) * 5
COUNTS = np.ones(len(KINDS), dtype=np.int64)
LEXICON = Lexicon((*RESERVED, *WORDS), KINDS, COUNTS, COUNTS)
SEGMENTER = Segmenter(LEXICON)
BY, THE, RIVER, MILL, SAT = range(len(RESERVED), len(LEXICON))


class Stubborn:
    """Writes the known units, then ``by the river``, or ``mill`` for each unit that is ruled out."""

    def __init__(self, ruled_out=()):
        self.ruled_out = set(ruled_out)

    def write(self, prefixes, known=None, seed=0):
        begun = [[] for _ in prefixes] if known is None else [row[row >= 0].tolist() for row in known]
        return [
            [*own, *(MILL if unit in self.ruled_out else unit for unit in (BY, THE, RIVER)[len(own) :])]
            for own in begun
        ]

    def without(self, units):
        return Stubborn({*self.ruled_out, *units})


def written(banned, known=None, rows=2):
    generator = WithoutBanned(Stubborn(), Banned(banned, LEXICON, SEGMENTER.detokenizer))
    assert isinstance(generator, UnitWriter)
    return [SEGMENTER.join(units) for units in generator.write(torch.zeros(rows, 4), known)]


def test_banned_units_are_ruled_out():
    assert written(["sat"]) == ["by the river"] * 2
    assert written(["the"]) == ["by mill river"] * 2


def test_phrases_are_written_anew_without_their_rarest_unit():
    assert written(["by the river"]) == ["by the mill"] * 2
    assert written(["by the river", "the mill"]) == ["by the"] * 2  # neither helps, so it is cut out


def test_what_is_known_stays():
    known = torch.tensor([[BY, THE, -1], [-1, -1, -1]])
    assert written(["by the river"], known) == ["by the mill", "by the mill"]
    assert written(["by the"], known)[0].startswith("by the")


def test_what_can_not_be_written_anew_is_cut_out():
    assert written(["the", "mill"]) == ["by river"] * 2
