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
        threads.run_once(tmp_path / "gone", ["a"], {}, busy=1)
    assert "\n" not in str(caught.value)


def test_neighbours_are_busy_and_go(threads):
    with threads.neighbours(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() is not None for process in processes)
    with pytest.raises(ZeroDivisionError), threads.neighbours(1) as processes:
        raise ZeroDivisionError
    assert processes[0].poll() is not None


def test_ratios_are_of_pairs(threads, monkeypatch, tmp_path):
    """Quiet 1, 2 and 4 s, busy 3, 3 and 4 s: ratios 3, 1.5 and 1, of which the middle one counts."""
    times = {0: iter([1.0, 1.0, 1.0, 2.0, 2.0, 2.0, 4.0, 4.0, 4.0]), 1: iter([3.0] * 6 + [4.0] * 3)}
    monkeypatch.setattr(
        threads,
        "run_once",
        lambda _model, _texts, _setting, busy: dict.fromkeys(("encode", "decode"), next(times[busy])),
    )
    results = threads.measure(tmp_path, ["a"], repeats=3, busy=1)
    assert results.keys() == {"default", "one_thread", "spinning"}
    assert results["default"]["decode"] == {"quiet_seconds": 2.0, "busy_seconds": 3.0, "ratio": 1.5}
