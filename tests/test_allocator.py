from __future__ import annotations

import os
import subprocess
import sys

import pytest

CODE = """
import lexivert, numpy as np
from lexivert.allocator import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

np.ones(2**20, dtype=np.int8)
before = resident()
np.ones(256 * 2**20, dtype=np.int8)  # and dropped
print(keep_freed_memory(), resident() - before)
"""


def run(**environment):
    """Whether the allocator was told, and megabytes that are kept of a dropped array of 256."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    answer = subprocess.run(
        [sys.executable, "-c", CODE], env=clean | environment, capture_output=True, text=True, check=True
    )
    told, kept = answer.stdout.split()
    return told == "True", float(kept)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="GNU's allocator")
def test_large_arrays_that_are_dropped_are_kept_unless_the_user_says_how_much():
    told, kept = run()
    if not told:
        pytest.skip("another C library")
    assert kept > 200
    told, kept = run(MALLOC_TRIM_THRESHOLD_="1000000")
    assert not told
    assert kept < 50
