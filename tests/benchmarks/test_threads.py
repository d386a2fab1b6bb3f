from __future__ import annotations

import pytest

from lexivert.errors import LexivertError


@pytest.fixture
def threads(load):
    return load("threads")


def test_a_fresh_process_encodes_and_decodes(threads, tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    seconds = threads.run_once(tmp_path / "model", ["The old captain saw the river."] * 5, {}, busy=1)
    assert seconds.keys() == {"encode", "decode"}
    assert all(0 < value < 600 for value in seconds.values())


def test_no_model_is_one_line(threads, tmp_path):
    with pytest.raises(LexivertError, match="gone") as caught:
        threads.run_once(tmp_path / "gone", ["a"], {}, busy=0)
    assert "\n" not in str(caught.value)


def test_neighbours_are_busy_and_go(threads):
    with threads.neighbours(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() is not None for process in processes)
    with pytest.raises(ZeroDivisionError), threads.neighbours(1) as processes:
        raise ZeroDivisionError
    assert processes[0].poll() is not None


def test_ratios_are_of_pairs(threads):
    """Quiet 1, 2 and 4 s, busy 3, 3 and 4 s: ratios 3, 1.5 and 1, of which the middle one counts."""
    taken = [
        (dict.fromkeys(("encode", "decode"), quiet), dict.fromkeys(("encode", "decode"), busy))
        for quiet, busy in ((1.0, 3.0), (2.0, 3.0), (4.0, 4.0))
    ]
    assert threads.summary(taken)["decode"] == {"quiet_seconds": 2.0, "busy_seconds": 3.0, "ratio": 1.5}


@pytest.mark.parametrize(
    ("encode", "decode", "kept"), [(2.5, 1.0, True), (2.6, 1.0, False), (1.0, float("nan"), False)]
)
def test_the_bar_is_the_defaults(threads, encode, decode, kept):
    spinning = {"encode": {"ratio": 9.0}, "decode": {"ratio": 9.0}}
    assert (
        threads.met({"default": {"encode": {"ratio": encode}, "decode": {"ratio": decode}}, "spinning": spinning})
        is kept
    )
