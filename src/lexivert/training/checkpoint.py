"""Resumable training state on disk, and the random numbers of a run."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import pickle
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lexivert.artifacts import atomic_path
from lexivert.code_fingerprint import SourceTree

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoint:
    """One file of training state.

    Attributes:
        folder: ignored by git and DVC; removed by ``clear`` once the stage's outputs are written.
        fingerprint: what the state is valid for (see ``fingerprint``); a state with another one is not resumed.
        every: optimiser steps between writes, beside the one at each epoch's end; 0: only there.
    """

    folder: Path
    fingerprint: str
    every: int = 0

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / "state.pt"

    def due(self, steps: int) -> bool:
        """Whether to write after this many optimiser steps."""
        return self.every > 0 and steps % self.every == 0

    def write(self, state: dict[str, Any]) -> None:
        """Replace the file in one step; a kill leaves the former one."""
        with atomic_path(self.path) as temporary:
            torch.save({"fingerprint": self.fingerprint, "state": state}, temporary)

    def read(self) -> dict[str, Any] | None:
        """State of the same run, or None: no file, a damaged one, or one of other inputs (both are logged)."""
        if not self.path.exists():
            return None
        try:
            saved = torch.load(self.path, map_location="cpu", weights_only=True)
            known, state = saved["fingerprint"], dict(saved["state"])
        except (OSError, EOFError, KeyError, TypeError, RuntimeError, pickle.UnpicklingError, zipfile.BadZipFile):
            logger.warning("%s is damaged; training starts afresh", self.path)
            return None
        if known != self.fingerprint:
            logger.info("%s is of other params or inputs; training starts afresh", self.path)
            return None
        return state

    def clear(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def fingerprint(module: str, *parts: object) -> str:
    """Digest of what a run depends on: equal if it would be the same.

    Args:
        module: dotted name of the stage, whose code counts with all that it imports, comments and docstrings aside.
        parts: params (by ``repr``) and arrays (by their bytes).
    """
    digest = hashlib.blake2b(SourceTree().fingerprint(module).encode(), digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).view(np.uint8).data)
        else:
            digest.update(repr(part).encode("utf-8", "surrogatepass"))
        digest.update(b"\x00")
    return digest.hexdigest()


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Seed torch and use deterministic kernels inside; the caller's generator and settings come back after."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    strict, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    memory: Any = torch.utils.deterministic  # typed without its one setting
    filling = memory.fill_uninitialized_memory
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)  # noqa: FBT003 torch's own signature
        memory.fill_uninitialized_memory = False  # nothing here reads what it has not written
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(strict, warn_only=warn_only)
            memory.fill_uninitialized_memory = filling


def random_state() -> dict[str, Any]:
    """State of torch's generators on every device in use."""
    return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []}


def restore_random_state(state: dict[str, Any]) -> None:
    """Take over a state from ``random_state``."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
