from __future__ import annotations

import numpy as np
import pytest

from lexivert.generation.insertion_orders import PartialText, Placed, disturbed, insertion_order, partial_text

THE, OWL, SAT, BY, RIVER, STOP = 1, 50, 40, 7, 60, 2
SENTENCE = [THE, OWL, SAT, BY, THE, RIVER, STOP]  # "the owl sat by the river ."
ORDER = [5, 1, 2, 3, 6, 0, 4]  # river, owl, sat, by, ., the, the


def rest(text):
    return [(insertion.unit, insertion.slot) for insertion in text.missing]


def buffer(text):
    return [(placed.unit, placed.position) for placed in text.buffer]


def test_targets_of_one_sentence_by_hand():
    """After river and owl: "owl river"; what is missing before, between and behind them, and how much it is next."""
    text = partial_text(SENTENCE, ORDER, 2)
    assert buffer(text) == [(OWL, 1), (RIVER, 5)]
    assert rest(text) == [(SAT, 1), (BY, 1), (STOP, 2), (THE, 0), (THE, 1)]
    total = 1 + 0.8 + 0.64 + 0.512 + 0.4096
    expected = [weight / total for weight in (1, 0.8, 0.64, 0.512, 0.4096)]
    assert [insertion.weight for insertion in text.missing] == pytest.approx(expected)


def test_the_empty_and_the_complete_text():
    assert partial_text(SENTENCE, ORDER, 0).buffer == ()
    assert rest(partial_text(SENTENCE, ORDER, 0)) == [(SENTENCE[position], 0) for position in ORDER]
    complete = partial_text(SENTENCE, ORDER, 7)
    assert [unit for unit, _ in buffer(complete)] == SENTENCE
    assert complete.missing == ()


def test_a_missing_unit_belongs_behind_the_last_right_one_before_it():
    """In "owl MOON river", what is missing between owl and river stands before the moon, which is wrong."""
    moon = 99
    text = PartialText.of(SENTENCE, [Placed(OWL, 1), Placed(moon, None), Placed(RIVER, 5)], [2, 6, 0])
    assert rest(text) == [(SAT, 1), (STOP, 3), (THE, 0)]


@pytest.mark.parametrize("seed", range(20))
def test_following_the_targets_writes_the_text(seed):
    """Whatever is wrong in the buffer: taking it out, then making the insertions one by one, gives the text."""
    rng = np.random.default_rng(seed)
    order = insertion_order(rng.random(7) * 9, rng)
    assert sorted(order) == list(range(7))
    text = disturbed(
        SENTENCE, order, int(rng.integers(8)), [99, 98][: int(rng.integers(3))], int(rng.integers(3)), rng
    )
    assert sum(insertion.weight for insertion in text.missing) == pytest.approx(1.0 if text.missing else 0.0)
    entries = [(placed.unit, 10 * placed.position) for placed in text.buffer if placed.position is not None]
    kept = [index for index, placed in enumerate(text.buffer) if placed.position is not None]
    for insertion in text.missing:  # a slot's missing units, in the text's order, stand between the units around it
        before = [text.buffer[index].position for index in kept if index < insertion.slot]
        behind = [text.buffer[index].position for index in kept if index >= insertion.slot]
        places = [p for p, unit in enumerate(SENTENCE) if unit == insertion.unit]
        assert any(max(before, default=-1) < place < min(behind, default=99) for place in places)
    assert sorted([unit for unit, _ in entries] + [insertion.unit for insertion in text.missing]) == sorted(SENTENCE)


def test_moved_units_are_next_and_intruders_are_wrong():
    text = disturbed(SENTENCE, ORDER, 4, [99], 2, np.random.default_rng(0))
    wrong = [placed.unit for placed in text.buffer if placed.position is None]
    moved = [insertion.unit for insertion in text.missing[:2]]
    assert sorted(wrong) == sorted([*moved, 99])
    assert set(moved) <= {RIVER, OWL, SAT, BY}
    assert [insertion.unit for insertion in text.missing[2:]] == [STOP, THE, THE]
    assert len(text.buffer) == 5


def test_what_tells_most_tends_to_come_first():
    """Two nats more are e times as likely to come first, by the Plackett-Luce model."""
    rng = np.random.default_rng(0)
    first = np.bincount([insertion_order(np.array([2.0, 4.0]), rng)[0] for _ in range(4000)])
    assert first[1] / first[0] == pytest.approx(np.e, rel=0.1)
