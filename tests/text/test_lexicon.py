from __future__ import annotations

import pytest

from lexivert.text.lexicon import unit_text


@pytest.mark.parametrize(
    ("surface", "kind", "text"),
    [
        ("<end>", "control", "end"),
        ("<0x41>", "byte", "A"),
        ("<0x20>", "byte", "byte 0x20"),
        ("<0x0A>", "byte", "byte 0x0A"),
        ("<0xFF>", "byte", "byte 0xFF"),
        ("##arus", "piece", "arus"),
        ("Hom", "piece", "Hom"),
        ("on the other side", "ngram", "on the other side"),
        ("<", "punctuation", "<"),
    ],
)
def test_what_is_read_for_a_unit(surface, kind, text):
    assert unit_text(surface, kind) == text
