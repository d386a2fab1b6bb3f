"""How tests are run: without network, with one thread, in an order that keeps two workers busy."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

os.environ["HF_HUB_OFFLINE"] = "1"  # before the hub's library is imported: no test may use the network
# Tiny matrices: a second thread only waits, and on a busy machine very long. Set before torch is imported.
os.environ["OMP_NUM_THREADS"] = "1"
# Workers and dozens of commands that tests start would compile this package anew, each of them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

FIXTURES = ("tiny_inputs", "tiny_models", "worlds")
"""Modules whose fixtures every test may use."""
TESTS = Path(__file__).parent
FIRST = ("pipeline", "evaluation", "notebooks", "benchmarks", "controller", "text", "test_cli.py", "test_model.py")
"""What takes longest: begun first, so that neither of two workers is left alone with one at the end."""


class ByFile(LoadScopeScheduling):
    """Keeps a file's tests on one worker, and with them its fixtures; those of the pipeline share one project."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/pipeline" if file.startswith("tests/pipeline/") else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is named first."""
    rank = {folder: number for number, folder in enumerate(FIRST)}
    items.sort(key=lambda item: rank.get(item.path.relative_to(TESTS).parts[0], len(FIRST)))


def pytest_configure(config: pytest.Config) -> None:
    """Load fixtures, and torch with them, where tests run; the process that hands them out begins sooner without."""
    if hasattr(config, "workerinput") or config.getoption("dist", "no") == "no":
        from hypothesis import settings

        # A machine that does other things too is no reason to fail, so nothing has a deadline.
        settings.register_profile("default", max_examples=100, deadline=None)
        settings.register_profile("nightly", max_examples=600, deadline=None)
        settings.load_profile("default")
        for name in FIXTURES:
            config.pluginmanager.import_plugin(name)


def pytest_collection_finish() -> None:
    """Take what is imported by now out of garbage collection, which would go through all of it again and again."""
    gc.collect()
    gc.freeze()
