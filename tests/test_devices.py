from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lexivert.devices import choose_device, choose_dtype
from lexivert.errors import LexivertError

CPU = torch.device("cpu")


def test_cpu_is_always_there():
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_asked_for_is_given_or_refused_by_name(name):
    there = torch.cuda.is_available() if name == "cuda" else torch.backends.mps.is_available()
    if there:
        assert choose_device(name).type == name
    else:
        with pytest.raises(LexivertError, match=f"backbone.device is '{name}'"):
            choose_device(name)


def test_auto_takes_the_best_device_there_is():
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert choose_device("auto").type == best


def test_unknown_names_are_refused():
    with pytest.raises(LexivertError, match=r"'tpu'.*auto, cpu, cuda or mps"):
        choose_device("tpu")
    with pytest.raises(LexivertError, match=r"'int8'.*auto, float32, bfloat16 or float16"):
        choose_dtype("int8", CPU)


def test_named_dtypes_are_obeyed():
    assert choose_dtype("float32", CPU) is torch.float32
    assert choose_dtype("bfloat16", CPU) is torch.bfloat16
    assert choose_dtype("float16", CPU) is torch.float16


CPUINFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPUINFO.exists(), reason="Linux alone lists what a processor can do")
def test_auto_is_bfloat16_only_where_the_cpu_multiplies_it():
    flags = {flag for line in CPUINFO.read_text().splitlines() if line.startswith("flags") for flag in line.split()}
    native = not flags.isdisjoint({"avx512_bf16", "amx_tile"})
    assert choose_dtype("auto", CPU) is (torch.bfloat16 if native else torch.float32)


def test_auto_is_float32_on_mps():
    assert choose_dtype("auto", torch.device("mps")) is torch.float32


def test_auto_is_float32_where_torch_does_not_say(monkeypatch):
    """Its functions for it have no public name and may go."""
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.delattr(torch.cpu, name)
    assert choose_dtype("auto", CPU) is torch.float32
