from __future__ import annotations

import numpy as np
import pytest

from lexivert.text.augmentation import SubwordRegularizer
from lexivert.text.lexicon import CONTROL, RESERVED, WIKITEXT, Lexicon
from lexivert.text.segmentation import Segmenter
from lexivert.text.tokenizer import normalize, split_chunk
from lexivert.text.wikitext import wikitext_text

RARE = [f"{first}{second}" for first in ("sun", "moon", "star", "rain") for second in ("", "rise", "light", "fall")]
COMMON = ["the", "a", "red", "boys", "said", ",", ".", "-", "do", "n't", "tipped", "Alice", "of", "of the"]
PIECES = ["##s", "##rise", "##light", "##fall", "su", "##n"]
SURFACES = (*RESERVED, *COMMON, *PIECES, *RARE)
KINDS = (
    *["control"] * len(CONTROL),
    *["byte"] * 256,
    *["word"] * len(COMMON),
    *["piece"] * len(PIECES),
    *["word"] * len(RARE),
)
USAGE = np.array([0] * len(RESERVED) + [100] * len(COMMON) + [0] * len(PIECES) + [12] * len(RARE))
LEXICON = Lexicon(SURFACES, KINDS, USAGE, USAGE)
FULL = Segmenter(LEXICON)
TEXTS = [
    "the  red-tipped sunrise",
    "Alice said, don't.",
    "moonlight of the starfall, the boys' rain",
    " ".join(RARE),
    "é (unknown) words, 1,234.5",
    "",
]


def spelled_as_wikitext(text):
    return wikitext_text([token for chunk in normalize(text).split(" ") for token in split_chunk(chunk)])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("text", TEXTS)
def test_what_is_written_reads_as_the_text_or_its_wikitext_spelling(text, seed):
    regularizer = SubwordRegularizer(LEXICON, seed)
    read = {FULL.join(regularizer.segment(text)) for _ in range(12)}
    assert read <= {normalize(text), normalize(spelled_as_wikitext(text))}


def test_both_spellings_come_about_as_often():
    regularizer = SubwordRegularizer(LEXICON, 0)
    read = [FULL.join(regularizer.segment("Alice said, don't.")) for _ in range(200)]
    assert set(read) == {"Alice said, don't.", "Alice said , don 't ."}
    assert 70 < read.count("Alice said, don't.") < 130
    assert any(WIKITEXT in regularizer.segment("Alice said, don't.") for _ in range(10))


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_rare_words_are_never_used_and_all_others_may_be(seed):
    regularizer = SubwordRegularizer(LEXICON, seed)
    used = {unit for text in [*TEXTS * 10, *RARE] for unit in regularizer.segment(text)}
    rare = {LEXICON.id_of[word] for word in RARE}
    dropped = rare - used
    assert 3 <= len(dropped) <= 13
    assert dropped == rare - {unit for word in RARE for unit in FULL.segment(word) if unit in used}
    assert {LEXICON.id_of[word] for word in ("the", "red", "Alice", "of the")} <= used
    for unit in dropped:  # a word that lacks is spelled in pieces or bytes
        assert len(regularizer.segment(LEXICON.surfaces[unit])) > 1


def test_units_used_often_are_kept():
    usage = np.where(USAGE == 12, 13, USAGE)
    regularizer = SubwordRegularizer(Lexicon(SURFACES, KINDS, usage, usage), 0)
    assert {unit for word in RARE for unit in regularizer.segment(word)} == {LEXICON.id_of[word] for word in RARE}


def test_the_seed_fixes_what_is_left_out():
    one, same, other = (
        [regularizer.segment(word) for word in RARE * 3]
        for regularizer in (SubwordRegularizer(LEXICON, seed) for seed in (1, 1, 2))
    )
    assert one == same
    assert one != other
