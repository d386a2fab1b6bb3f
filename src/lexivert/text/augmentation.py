"""Subword regularisation (compare BPE-dropout, Provilkov, Emelianenko & Voita 2020): training texts spelled anew.

The lexicon was counted on the training sentences, so that these are written without pieces throughout; other texts
have words that the lexicon lacks and are spelled in pieces, with control units between. A model that shall read those
must have seen some. So half of the rare units are left out, and half of the texts are written as WikiText.
"""

from __future__ import annotations

import numpy as np

from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter
from lexivert.text.tokenizer import normalize, split_chunk
from lexivert.text.wikitext import wikitext_text

_RARE = 12  # uses in the training sentences, up to which a unit may be left out
_DROPPED = 0.5
_WIKITEXT = 0.5
_DROPPABLE = ("word", "cased", "entity", "ngram")


class SubwordRegularizer:
    """Segments texts with half of the rare units left out.

    Args:
        lexicon: all units.
        seed: fixes what is left out, and which texts are written as WikiText.
    """

    def __init__(self, lexicon: Lexicon, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        droppable = (lexicon.usage <= _RARE) & np.isin(np.array(lexicon.kinds), _DROPPABLE)
        kept = np.flatnonzero(~droppable | (self._rng.random(len(lexicon)) >= _DROPPED))
        self._ids: list[int] = kept.tolist()
        surfaces = tuple(lexicon.surfaces[unit] for unit in self._ids)
        kinds = tuple(lexicon.kinds[unit] for unit in self._ids)
        self._segmenter = Segmenter(Lexicon(surfaces, kinds, lexicon.counts[kept], lexicon.usage[kept]))

    def segment(self, text: str) -> list[int]:
        """Unit ids of the full lexicon. The next call may spell the same text otherwise."""
        text = normalize(text)
        if self._rng.random() < _WIKITEXT:
            text = wikitext_text([token for chunk in text.split(" ") for token in split_chunk(chunk)])
        return [self._ids[unit] for unit in self._segmenter.segment(text)]
