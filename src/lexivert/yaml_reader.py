"""YAML 1.2 files read as DVC reads them, and checked against typed sections; every mistake is one line."""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pydantic
from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError

from lexivert.errors import LexivertError

_SHOWN = 80
"""Characters of a wrong value that a message shows."""
Checked = typing.TypeVar("Checked", bound=pydantic.BaseModel)


def read_yaml(path: Path) -> Any:
    """Read YAML 1.2 as DVC reads it (``1e-5`` is a number, ``no`` a string, a key that stands twice an error).

    Raises:
        LexivertError: the file is missing, not UTF-8 or not YAML; the message is one line.
    """
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LexivertError(f"{path} can't be read ({error.strerror}); run from the project's root folder") from error
    except UnicodeDecodeError as error:
        raise LexivertError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except DuplicateKeyError as error:
        key = re.sub(r"found duplicate (merge )?key ", "", str(error.problem)).partition(" with value")[0]
        line = error.problem_mark.line + 1
        raise LexivertError(f"{path}: line {line}: key {key} stands twice in its section; keep one") from error
    except RecursionError as error:
        raise LexivertError(f"{path} is not valid YAML: brackets or sections are nested too deep") from error
    except Exception as error:  # tags such as !!bool run into errors of many types
        reason = " ".join(str(error).split()) or "a value does not fit its tag"
        raise LexivertError(f"{path} is not valid YAML: {reason}") from error


def overridden(content: Any, changes: Any) -> Any:
    """Nested ``content`` with the leaves of ``changes`` in place of its own; sections that only ``changes`` has stay.

    Unknown keys are left to ``validated``, which names them.
    """
    if not isinstance(content, dict) or not isinstance(changes, dict):
        return changes
    return content | {key: overridden(content.get(key), value) for key, value in changes.items()}


def validated(kind: type[Checked], content: Any, path: Path, overrides: tuple[Path, Any] | None = None) -> Checked:
    """Turn the content of a file into a section.

    Args:
        kind: of section.
        content: of the file, with the values of ``overrides`` in it.
        path: of the file.
        overrides: path and content of a second file, if there is one: named where it states the value at fault, and
            beside the first where it states some of the section at fault.

    Raises:
        LexivertError: a key is unknown or missing, or a value is out of its range; one line that names file, key and
            value.
    """
    try:
        return kind.model_validate(content)
    except pydantic.ValidationError as error:
        first, missing = _telling(error)
        key = _named(first)
        file = _file_of(first["loc"], path, overrides)
        if first["type"] == "extra_forbidden":
            instead = f", while {_named(missing)} is missing" if missing else ""
            raise LexivertError(
                f"{file}: {key}: no such key{instead}; there are {_keys_beside(kind, first['loc'])}"
            ) from error
        if first["type"] == "missing":
            raise LexivertError(f"{file}: {key}: this key is missing") from error
        given = "" if isinstance(first["input"], dict) else f", not {_shown(first['input'])}"
        reason = first["msg"].lower().removeprefix("value error, ")  # pydantic's words before those of our validators
        raise LexivertError(f"{file}: {key}: {reason}{given}") from error


def fault(error: pydantic.ValidationError) -> str:
    """What is wrong with a file that a program wrote; other keys than ours are those of another release."""
    first, missing = _telling(error)
    if (lacking := missing or first)["type"] == "missing":
        return f"{_named(lacking)} is missing, so another release made it"
    if first["type"] == "extra_forbidden":
        return f"{_named(first)} is no key of this release, so another one made it"
    return f"{_named(first)}: {first['msg']}"


def _telling(error: pydantic.ValidationError) -> tuple[Any, Any]:
    """The error to be told, and that of a missing key if an unknown one stands in its place, which is told then."""
    found = error.errors()
    if found[0]["type"] != "missing":
        return found[0], None
    section = found[0]["loc"][:-1]
    unknown = [one for one in found if one["type"] == "extra_forbidden" and one["loc"][:-1] == section]
    return (unknown[0], found[0]) if unknown else (found[0], None)


def _named(error: Any) -> str:
    return ".".join(str(part) for part in error["loc"]) or "top level"


def _file_of(location: Sequence[int | str], path: Path, overrides: tuple[Path, Any] | None) -> str:
    """Name of the file that states a value, or of both where its section has keys of both."""
    if overrides is None:
        return str(path)
    other, content = overrides
    for part in location:
        if not isinstance(content, dict):  # all that it states here is its own
            return str(other)
        if part not in content:
            return str(path)
        content = content[part]
    return f"{path} with {other}" if isinstance(content, dict) else str(other)


def _shown(value: Any) -> str:
    """A value as it stands in a message, cut where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list nested too deep
        text = f"a value of type {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _keys_beside(section: type[pydantic.BaseModel], location: Sequence[int | str]) -> str:
    """Names of the keys that may stand where an unknown one was found; an item of a list has those of its type."""
    for part in location[:-1]:
        if isinstance(part, str):
            inner = section.model_fields[part].annotation
            section = next((kind for kind in (inner, *typing.get_args(inner)) if _is_section(kind)), section)
    return ", ".join(section.model_fields)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, pydantic.BaseModel)
