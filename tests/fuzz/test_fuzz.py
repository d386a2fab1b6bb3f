"""Thousands of seeded inputs: no error but those that are documented, no hang, nothing wrong in silence.

`make test` tries a few; `make fuzz` tries 10,000. An input depends on the seed, its part and its number alone:
`FUZZ_ONLY=api:1234 python -m pytest tests/fuzz` tries one again.
"""

from __future__ import annotations

import math
import os
from functools import cache, partial
from pathlib import Path

import pytest

from fuzz import api_inputs, command_inputs, params_inputs
from fuzz.trial import faults
from lexivert import Lexivert

SEED = int(os.environ.get("FUZZ_SEED", "14"))
INPUTS = int(os.environ.get("FUZZ_INPUTS", "60"))
SHARES = {"api": 0.4, "params": 0.345, "command": 0.25, "process": 0.005}
"""Of all inputs."""
BLOCKS = max(INPUTS // 1000, 1)
"""Tests a part, so that workers can share them."""
REPOSITORY = Path(__file__).resolve().parents[2]


def numbers(part: str, block: int) -> range:
    """Which inputs a test tries."""
    named = os.environ.get("FUZZ_ONLY", "")
    only, _, number = named.partition(":")
    if named:
        if only not in SHARES or not number.isdecimal():
            raise ValueError(f"FUZZ_ONLY is {named}; give one of {', '.join(SHARES)}, a colon and a number")
        return range(int(number), int(number) + 1) if only == part and block == 0 else range(0)
    count = math.ceil(INPUTS * SHARES[part])
    return range(count * block // BLOCKS, count * (block + 1) // BLOCKS)


def told(found: list) -> str:
    return "\n".join(f"--- FUZZ_ONLY={fault.part}:{fault.number}\n{fault.what}" for fault in found)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_api(tiny_model, block):
    found = faults("api", numbers("api", block), SEED, partial(api_inputs.attempt, tiny_model))
    assert not found, told(found)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_params(tiny_params_file, tmp_path, block):
    original = tiny_params_file.read_text(encoding="utf-8")
    attempt = partial(params_inputs.attempt, original, tmp_path)
    found = faults("params", numbers("params", block), SEED, attempt)
    assert not found, told(found)


@pytest.fixture
def bench(tiny_project, tiny_model, tmp_path) -> command_inputs.Bench:
    """Vectors as the command writes them."""
    files = {}
    source = tmp_path / "texts.txt"
    source.write_text("\n".join(command_inputs.inputs.SENTENCES), encoding="utf-8")
    for ending in (".npy", ".parquet"):
        words = ["encode", "texts.txt", f"vectors{ending}", "--model", str(tiny_project)]
        assert command_inputs.within(words, b"", tmp_path).code == 0
        files[ending] = (tmp_path / f"vectors{ending}").read_bytes()
    folder = tmp_path / "bench"
    folder.mkdir()
    return command_inputs.Bench(tiny_project, files, list(command_inputs.inputs.SENTENCES), folder)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_commands(bench, monkeypatch, block):
    original = Lexivert.load
    loaded = cache(lambda path, device: original(path, device=device))
    monkeypatch.setattr(Lexivert, "load", lambda path=".", *, device=None: loaded(Path(path).resolve(), device))
    attempt = partial(command_inputs.attempt, command_inputs.within, bench)
    found = faults("command", numbers("command", block), SEED, attempt)
    assert not found, told(found)


@pytest.mark.parametrize("block", range(BLOCKS))
def test_processes(bench, block):
    attempt = partial(command_inputs.attempt, command_inputs.as_process, bench)
    found = faults("process", numbers("process", block), SEED, attempt)
    assert not found, told(found)
