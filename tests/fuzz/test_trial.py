"""The trial of inputs finds what it looks for."""

from __future__ import annotations

import itertools
import random

import pytest

from fuzz import test_fuzz, trial
from fuzz.command_inputs import Outcome, proper
from fuzz.params_inputs import as_declared
from lexivert.config import CollapseParams, CorpusParams
from sections import section


def test_an_exception_is_a_fault_of_the_input_that_made_it():
    def attempt(rng: random.Random) -> None:
        assert rng.random() < 0.5, "too large"

    expected = [n for n in range(20) if random.Random(f"1:some:{n}").random() >= 0.5]
    found = trial.faults("some", range(20), 1, attempt)
    assert 0 < len(expected) < 20
    assert [(fault.part, fault.number) for fault in found] == [("some", number) for number in expected]
    assert all("too large" in fault.what for fault in found)


def test_an_endless_computation_is_stopped(monkeypatch):
    monkeypatch.setattr(trial, "PROCESSOR_SECONDS", 0.2)

    def attempt(_rng: random.Random) -> None:
        try:
            for _ in itertools.count():
                pass
        except Exception:
            pytest.fail("a hang was taken for an error")

    (fault,) = trial.faults("some", range(1), 1, attempt)
    assert "more than 0.2 s" in fault.what


@pytest.mark.parametrize("only", ["apis:3", "api", "api:", "api:x", ":3"])
def test_one_input_that_there_is_not_is_an_error(monkeypatch, only):
    monkeypatch.setenv("FUZZ_ONLY", only)
    with pytest.raises(ValueError, match="give one of api, params, command, process, a colon and a number"):
        test_fuzz.numbers("api", 0)


def test_one_input_is_tried_once_and_by_its_part(monkeypatch):
    monkeypatch.setenv("FUZZ_ONLY", "api:3")
    assert [list(test_fuzz.numbers(part, block)) for part in ("api", "params") for block in (0, 1)] == [
        [3],
        [],
        [],
        [],
    ]


@pytest.mark.parametrize(
    ("outcome", "right"),
    [
        (Outcome(0, b"", ""), True),
        (Outcome(1, b"", "error: no\n"), True),
        (Outcome(1, b"", "no\n"), False),
        (Outcome(2, b"", "Usage: lexivert [OPTIONS]\nNo such option: -x\n"), True),
        (Outcome(2, b"", "error: no\n"), False),
        (Outcome(2, b"", ""), False),
        (Outcome(3, b"", ""), False),
    ],
)
def test_an_exit_status_needs_its_message(outcome, right):
    if right:
        proper(outcome)
    else:
        with pytest.raises(AssertionError):
            proper(outcome)


@pytest.mark.parametrize(
    ("read", "right"),
    [({"texts": 6}, True), ({"texts": True}, False), ({"texts": 6.0}, False), ({"texts": 7}, False)],
)
def test_a_value_that_is_not_what_the_file_says_is_seen(read, right):
    found = CollapseParams.model_construct(texts=6)
    if right:
        as_declared(CollapseParams, found, read, "collapse")
    else:
        with pytest.raises(AssertionError):
            as_declared(CollapseParams, found, read, "collapse")


def test_params_of_every_type_are_compared():
    found = section("corpus")
    read = found.model_dump() | {"files": list(found.files)}
    as_declared(CorpusParams, found, read, "corpus")
    with pytest.raises(AssertionError):
        as_declared(CorpusParams, found, read | {"source": "files"}, "corpus")
