"""Plug-ins: Python files of one's own that register priors, bindings, decoding algorithms, encoders or generators.

``plugins`` of params.yaml lists them. They are imported before a stage runs and before a project is loaded; a program
may as well import them itself.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path

from lexivert.errors import LexivertError
from lexivert.yaml_reader import read_yaml

PARAMS = "params.yaml"


def load(files: Iterable[Path | str]) -> None:
    """Import Python files that register parts, each once in a process.

    Args:
        files: paths of the files.

    Raises:
        LexivertError: a file is missing or fails; the message names it.
    """
    for file in files:
        _load(Path(file).resolve())


def load_of_project(root: Path) -> None:
    """Import the plug-ins that a project folder's ``params.yaml`` names, if it has one.

    Raises:
        LexivertError: see ``load``; ``plugins`` is no list of files.
    """
    params = root / PARAMS
    if not params.is_file():
        return
    content = read_yaml(params)
    files = content.get("plugins", []) if isinstance(content, dict) else []
    if not isinstance(files, list) or not all(isinstance(file, str) for file in files):
        raise LexivertError(f"{params}: plugins: a list of Python files is needed, not {files!r}")
    load(root / file for file in files)


def _load(path: Path) -> None:
    name = f"lexivert_plugin_{path.stem}_{hashlib.blake2b(bytes(path), digest_size=4).hexdigest()}"
    if name in sys.modules:
        return
    if not path.is_file():
        raise LexivertError(f"plugins: there is no file {path}")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LexivertError(f"plugins: {path} is no Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is executed
    try:
        spec.loader.exec_module(module)
    except LexivertError as error:
        del sys.modules[name]
        raise LexivertError(f"plugins: {path}: {error}") from error
    except Exception as error:
        del sys.modules[name]
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise LexivertError(f"plugins: {path} fails: {type(error).__name__}: {reason}") from error
