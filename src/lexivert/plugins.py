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
from types import ModuleType

from lexivert.errors import LexivertError
from lexivert.yaml_reader import read_yaml

PARAMS = "params.yaml"


def load(files: Iterable[Path | str]) -> list[ModuleType]:
    """Import Python files that register parts; of files with the same content the first that is met, once.

    Args:
        files: paths of the files.

    Returns:
        Their modules.

    Raises:
        LexivertError: a file is missing or fails; the message names it.
    """
    return [_load(Path(file).resolve()) for file in files]


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


def _load(path: Path) -> ModuleType:
    if not path.is_file() or path.suffix != ".py":
        reason = "is no Python file; its name must end in .py" if path.exists() else "is not there"
        raise LexivertError(f"plugins: {path} {reason}")
    name = f"lexivert_plugin_{hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up while it is executed
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        reason = (str(error) or type(error).__name__).splitlines()[0]
        kind = "" if isinstance(error, LexivertError) else f" fails: {type(error).__name__}"
        raise LexivertError(f"plugins: {path}{kind}: {reason}") from error
    return module
