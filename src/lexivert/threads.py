"""Threads of the number libraries: how they wait for each other, and how many there are.

An OpenMP thread that has nothing to do spins at first, in case work comes at once. On a machine that other programs
use, too, it then takes the processor from the very thread that it waits for: two threads are ten times slower than
one. ``wait_passively`` makes threads sleep after some microseconds: what is handed over at once is still taken up at
once, without which small batches take half as long again. It must run before torch is loaded, so ``import lexivert``
does it first; who imports torch before lexivert sets ``OMP_WAIT_POLICY=PASSIVE`` in the shell. What the environment
says already is left alone.
"""

from __future__ import annotations

import os

from lexivert.errors import LexivertError

_WAITING = {
    "OMP_WAIT_POLICY": "PASSIVE",  # OpenMP's own word, which all runtimes obey
    "GOMP_SPINCOUNT": "2000",  # GNU's (torch, FAISS, scikit-learn on Linux)
    "KMP_BLOCKTIME": "0",  # LLVM's and Intel's (torch on macOS and Windows, builds with MKL)
}


def wait_passively() -> None:
    """Make threads of libraries that are loaded from now on sleep while they wait."""
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)


def limit_threads(count: int) -> None:
    """Compute with so many threads from now on, in torch and in FAISS.

    Raises:
        LexivertError: there are no so few threads.
    """
    if count < 1:
        raise LexivertError(f"{count} threads can't compute anything; give 1 or more")
    import faiss
    import torch

    torch.set_num_threads(count)
    faiss.omp_set_num_threads(count)
