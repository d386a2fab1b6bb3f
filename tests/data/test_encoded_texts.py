from __future__ import annotations

import pytest
import torch

from lexivert.data.encoded_texts import EncodedTexts

UNITS = [[1], [2, 3], [4, 50], [5, 6], [7, 8, 9], [1, 1]]
NAMES = ["one", "two three", "four fifty", "five six", "seven eight nine", "one one"]


@pytest.fixture
def texts():
    return EncodedTexts(NAMES, UNITS, torch.eye(6))


def test_rows_are_chosen_in_the_order_asked_for(texts):
    chosen = texts.only([4, 0])
    assert chosen.units == [[7, 8, 9], [1]]
    assert chosen.texts == ["seven eight nine", "one"]
    assert torch.equal(chosen.prefixes, torch.eye(6)[[4, 0]])
    assert len(chosen) == 2


def test_no_rows_leave_the_width(texts):
    for none in (texts.only([]), texts.joined([]), texts.of_length(20, 30, 2), texts.chained(20, 30, 2)):
        assert len(none) == 0
        assert none.prefixes.shape == (0, 6)


def test_the_first_texts_of_a_length_with_known_units(texts):
    """Four texts have two units: rows 1, 2, 3 and 5; the second of them has unit 50."""
    assert texts.of_length(2, 2, 9).units == [UNITS[row] for row in (1, 2, 3, 5)]
    assert texts.of_length(2, 2, 2, below=50).units == [[2, 3], [5, 6]]
    assert texts.of_length(2, 3, 9, below=9).units == [[2, 3], [5, 6], [1, 1]]
    assert torch.equal(texts.of_length(2, 2, 2, below=50).prefixes, torch.eye(6)[[1, 3]])


def test_chains_are_consecutive_and_share_no_text():
    """Texts of 30, 15, 70, 20, 30 and 10 units for 41 to 60: the third fits nowhere, the last makes no chain."""
    units = [[number + 1] * length for number, length in enumerate([30, 15, 70, 20, 30, 10])]
    chains = EncodedTexts(NAMES, units, torch.eye(6)).chained(41, 60, 5)
    assert chains.units == [[1] * 30 + [2] * 15, [4] * 20 + [5] * 30]
    assert chains.texts == ["one two three", "five six seven eight nine"]
    expected = torch.zeros(2, 6)
    expected[0, :2], expected[1, 3:5] = torch.tensor([2.0, 1.0]) / 5**0.5, torch.tensor([2.0, 3.0]) / 13**0.5
    torch.testing.assert_close(chains.prefixes, expected)


def test_chains_end_before_an_unknown_unit_and_stop_at_their_count(texts):
    assert texts.chained(3, 4, 9, below=50).units == [[1, 2, 3]]  # [5, 6] and [7, 8, 9] are 5 together
    assert texts.chained(3, 5, 9, below=50).units == [[1, 2, 3], [5, 6, 7, 8, 9]]
    assert texts.chained(3, 5, 1, below=50).units == [[1, 2, 3]]
    assert texts.chained(3, 5, 9, below=2).units == []


def test_a_text_that_breaks_a_chain_does_not_begin_the_next():
    texts = EncodedTexts([], [[1] * 3, [2] * 3, [3] * 2, [4] * 2], torch.eye(4))
    assert texts.chained(4, 5, 9).units == [[3, 3, 4, 4]]


def test_a_prefix_is_the_length_weighted_mean_at_unit_length(texts):
    """One unit of (1, 0, 0) and two of (0, 1, 0) give (1, 2, 0) / sqrt 5; a chain of one keeps its prefix."""
    joined = texts.joined([[0, 1], [4]])
    assert joined.units == [[1, 2, 3], [7, 8, 9]]
    assert joined.prefixes[0].tolist() == pytest.approx([1 / 5**0.5, 2 / 5**0.5, 0, 0, 0, 0])
    assert torch.equal(joined.prefixes[1], torch.eye(6)[4])
    assert UNITS[0] == [1]  # joining changes nothing


def test_strings_may_be_left_out(texts):
    bare = EncodedTexts([], UNITS, torch.eye(6))
    assert bare.only([0]).texts == bare.joined([[0, 1]]).texts == bare.of_length(1, 9, 9).texts == []


@pytest.mark.parametrize(("units", "rows", "texts"), [(UNITS, 5, NAMES), (UNITS, 6, NAMES[1:]), ([], 0, NAMES)])
def test_columns_of_different_lengths_are_refused(units, rows, texts):
    with pytest.raises(ValueError, match=f"'units': {len(units)}, 'prefixes': {rows}, 'texts': {len(texts)}"):
        EncodedTexts(texts, units, torch.zeros(rows, 2))
