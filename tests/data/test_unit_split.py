from __future__ import annotations

import numpy as np
import pytest

from lexivert.data.unit_split import heldout_mask, heldout_units, plain_reading, unit_readings
from lexivert.text.lexicon import CONTROL, RESERVED, Lexicon


def test_heldout_share_is_fixed_by_the_caseless_surface():
    surfaces = [f"word {number}" for number in range(5000)]
    out = heldout_mask(surfaces, 0.05, seed=42)
    assert out.mean() == pytest.approx(0.05, abs=0.01)
    assert heldout_mask([surface.upper() for surface in surfaces], 0.05, seed=42).tolist() == out.tolist()
    assert heldout_mask(surfaces[::-1], 0.05, seed=42)[::-1].tolist() == out.tolist()
    assert heldout_mask(surfaces, 0.05, seed=43).tolist() != out.tolist()
    assert not heldout_mask(surfaces, 0.0, seed=42).any()
    assert heldout_mask(surfaces, 1.0, seed=42).all()


@pytest.mark.parametrize(
    ("surface", "kind", "reading"),
    [
        ("##Ing", "piece", "ing"),
        ("<0x41>", "byte", "a"),
        ("Caf\u00e9", "cased", "cafe"),
        ("STRASSE", "entity", "strasse"),
        ("stra\u00dfe", "word", "strasse"),
        ("<end>", "control", "end"),
    ],
)
def test_readings_have_neither_case_nor_accents(surface, kind, reading):
    assert plain_reading(surface, kind) == reading


def test_units_of_one_reading_are_held_out_together(tiny_params):
    words = [f"word{number}" for number in range(300)]
    surfaces = (*RESERVED, *words, *(word.capitalize() for word in words), *(f"##{word}" for word in words))
    kinds = ("control",) * len(CONTROL) + ("byte",) * 256 + ("word",) * 300 + ("cased",) * 300 + ("piece",) * 300
    lexicon = Lexicon(surfaces, kinds, np.zeros(len(surfaces), np.int64), np.zeros(len(surfaces), np.int64))
    head = tiny_params.token_head.model_copy(update={"heldout_share": 0.3})
    params = tiny_params.model_copy(update={"token_head": head, "seed": 7})
    heldout = heldout_units(lexicon, params)
    assert unit_readings(lexicon)[-1] == "word299"
    of_words = heldout[len(RESERVED) :].reshape(3, 300)
    assert (of_words == of_words[0]).all()
    assert of_words[0].mean() == pytest.approx(0.3, abs=0.1)
    assert heldout.tolist() == heldout_mask(unit_readings(lexicon), 0.3, 7).tolist()
