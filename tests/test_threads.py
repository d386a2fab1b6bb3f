from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from lexivert.errors import LexivertError
from lexivert.threads import limit_threads

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")


def after_import(**environment):
    """Whether torch is loaded, and what the environment says of waiting, after ``import lexivert``."""
    code = f"import os, sys, lexivert; print('torch' in sys.modules, *map(os.environ.get, {WAITING}))"
    clean = {name: value for name, value in os.environ.items() if name not in WAITING}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, check=True
    )
    return answer.stdout.split()


def test_threads_wait_passively_before_torch_is_loaded():
    assert after_import() == ["False", "PASSIVE", "2000", "0"]


def test_what_the_user_says_stays():
    assert after_import(OMP_WAIT_POLICY="ACTIVE", KMP_BLOCKTIME="7") == ["False", "ACTIVE", "2000", "7"]


def test_the_runtime_that_torch_carries_obeys():
    code = "import lexivert, torch; torch.ones(512, 512) @ torch.ones(512, 512)"
    environment = os.environ | {"OMP_DISPLAY_ENV": "VERBOSE"}
    answer = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    said = [line for line in answer.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    if not said:
        pytest.skip("this build of torch shows no OpenMP environment")
    assert all("PASSIVE" in line for line in said)


def test_so_many_threads_compute():
    import faiss

    before = torch.get_num_threads(), faiss.omp_get_max_threads()
    try:
        limit_threads(3)
        assert (torch.get_num_threads(), faiss.omp_get_max_threads()) == (3, 3)
    finally:
        torch.set_num_threads(before[0])
        faiss.omp_set_num_threads(before[1])
    with pytest.raises(LexivertError, match="0 threads"):
        limit_threads(0)
