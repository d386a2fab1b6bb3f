"""Run stages: ``python -m lexivert.stages NAME... [--root DIR] [--params FILE] [--overrides FILE]``."""

from __future__ import annotations

import argparse
import importlib
import logging
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from lexivert import commands, plugins, stages
from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.errors import LexivertError
from lexivert.yaml_reader import read_yaml

STAGES = tuple(sorted(info.name for info in pkgutil.iter_modules(stages.__path__) if info.name != "__main__"))
LIGHT = frozenset({"code", "headline", "texts"})
"""Stages of a second, which take nothing from the params that others could refuse."""


def run_stages(
    names: Sequence[str], root: Path, params: Path, overrides: Path | None = None, *, checked: bool = False
) -> None:
    """Run stages one after the other in this process.

    Args:
        names: modules of ``lexivert.stages``.
        root: folder that holds ``data/``, ``models/`` and ``metrics/``.
        params: the numbers of the run.
        overrides: a second file of params, which replaces some of them.
        checked: whether to look at all params first, so that no stage begins with what a later one could only refuse.

    Raises:
        LexivertError: there is no such stage, the params are wrong, a plug-in fails, or what a stage says.
    """
    check_names(names)
    numbers = load_params(params, overrides)
    plugins.load(numbers.plugins)
    if checked and not LIGHT.issuperset(names):
        from lexivert import params_check  # with torch, which light stages and --help do not need

        params_check.check_params(numbers, *filter(None, (params, overrides)))
        if not _of_generation(root).isdisjoint(names):
            params_check.check_generation_params(root / "generation" / "params.yaml")
    for name in names:
        importlib.import_module(f"lexivert.stages.{name}").run(Paths(root), numbers)


def _of_generation(root: Path) -> frozenset[str]:
    """Stages of the pipeline ``generation``, which has params of its own; none where there is no such pipeline.

    Raises:
        LexivertError: the pipeline's file is no YAML, or has no stages.
    """
    pipeline = root / "generation" / "dvc.yaml"
    content = read_yaml(pipeline) if pipeline.is_file() else {"stages": {}}
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        raise LexivertError(f"{pipeline} has no section `stages`")
    return frozenset(content["stages"])


def check_names(names: Sequence[str]) -> None:
    """Refuse what is no stage.

    Raises:
        LexivertError: there is no such stage.
    """
    unknown = [name for name in names if name not in STAGES]
    if unknown:
        raise LexivertError(f"there is no stage {unknown[0]!r}; there are {', '.join(STAGES)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run stages as a command.

    What a user can mend is one line on standard error, without a traceback; anything else is a defect of ours and
    keeps its traceback.

    Returns:
        0, or 1 after an error.
    """
    parser = argparse.ArgumentParser(prog="python -m lexivert.stages", description="Run stages of the pipeline.")
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"one or more of {', '.join(STAGES)}")
    parser.add_argument("--root", type=Path, default=Path(), help="folder that holds data/, models/ and metrics/")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the numbers of the run")
    parser.add_argument("--overrides", type=Path, help="params that replace some of those")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("lexivert").setLevel(logging.INFO)
    return commands.run(lambda: run_stages(given.names, given.root, given.params, given.overrides, checked=True))


if __name__ == "__main__":
    raise SystemExit(main())
