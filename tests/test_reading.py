from __future__ import annotations

import pytest
import torch

from lexivert.controller.results import DecodeResult
from lexivert.reading import Reader
from lexivert.text.lexicon import WIKITEXT


class Told:
    """A decoder that reads the same units whatever it is given."""

    def __init__(self, units, score, verified):
        self.units, self.score, self.verified = units, score, verified

    def decode(self, observed, *, trace=False):
        scores = [self.score, *[0.9] * (len(self.units) - 1)]
        return DecodeResult([self.units], [scores], torch.tensor([0.7]), torch.tensor([self.verified]), [[]])


@pytest.mark.parametrize(("score", "verified", "kept"), [(0.4, False, False), (0.6, False, True), (0.4, True, True)])
def test_wikitexts_convention_is_written_only_where_it_is_likely(tiny_model, score, verified, kept):
    units = tiny_model.encoder.segmenter.segment("the moon, the old-hearted moon.")
    plain, spaced = (tiny_model.encoder.segmenter.join([*mark, *units]) for mark in ([], [WIKITEXT]))
    assert "@-@" in spaced
    reader = Reader(tiny_model.encoder, Told([WIKITEXT, *units], score, verified), tiny_model.generator, "")
    (reading,) = reader.decode(torch.ones(1, 224), torch.ones(1, 32), trace=False)
    assert reading.text == (spaced if kept else plain)
    assert ("<wikitext>" in reading.units) is kept
    assert len(reading.units) == len(reading.scores)
