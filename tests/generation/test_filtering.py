"""What a text may contain, with a beginning that its own units need not share."""

from __future__ import annotations

import pytest

from lexivert.generation.filtering import TextFilter

TEXT = "The old captain saw the river."


@pytest.mark.parametrize("prefix", ["", "The", "The old", "The ol", "The old captain saw"])
def test_what_is_banned_is_cut_out_behind_every_beginning(tiny_model, prefix):
    found = TextFilter(tiny_model.encoder, prefix, ["river"]).allowed(TEXT)
    assert found.startswith(prefix)
    assert "river" not in found
    assert "captain saw" in found


def test_a_beginning_of_more_units_than_it_has_in_the_text_frees_nothing(tiny_model):
    """``The old capt`` ends within a unit of the text, which is what is banned."""
    segment = tiny_model.encoder.segmenter.segment
    assert len(segment("The old capt")) > len(segment("The old"))
    assert TextFilter(tiny_model.encoder, "The old capt", ["captain"]).allowed(TEXT) == ""
    assert TextFilter(tiny_model.encoder, "The old", ["captain"]).allowed(TEXT) == "The old saw the river."


def test_a_text_without_anything_banned_stays(tiny_model):
    assert TextFilter(tiny_model.encoder, "The old", ["lamp"]).allowed(TEXT) == TEXT
