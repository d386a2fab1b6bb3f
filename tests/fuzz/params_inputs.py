"""Inputs of params: values of any type in any place, keys that are not there or twice, files that are no YAML."""

from __future__ import annotations

import io
import math
import random
import types
import typing
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pydantic
from ruamel.yaml import YAML

from fuzz import inputs
from lexivert.config import Params, load_params
from lexivert.errors import LexivertError
from lexivert.params_check import check_params
from lexivert.yaml_reader import overridden

ODD = (
    *("", "\n", "null\n", "[]\n", "- a\n", "a\n", "---\na: 1\n---\nb: 2\n", "{" * 200, "[" * 3000, "a: &x [*x]\n"),
    *(
        "a: !!python/object:os.system x\n",
        "a: !!binary x\n",
        "seed: !!bool 42\n",
        "? [1, 2]\n: 3\n",
        "\t- a\n",
        "%YAML 9\n",
    ),
    *(
        "seed: 42\nseed: 43\n",
        "<<: {seed: 1}\n",
        "\x00",
        "seed: 2020-01-01\n",
        "a: 'b\n",
        "a: |\n b\n",
        "\ufeffseed: 1\n",
    ),
)


def attempt(original: str, folder: Path, rng: random.Random) -> None:
    """Change params.yaml, or what overrides it, and load it: typed values that are those of the file, or one line."""
    content = deepcopy(_parsed(original))
    file, overrides = folder / "params.yaml", None
    kind = rng.random()
    if kind < 0.6:
        changed(content, rng)
        file.write_bytes(dumped(content))
    elif kind < 0.8:
        file.write_bytes(damaged(original, rng))
    elif kind < 0.9:
        file.write_text(rng.choice((original + rng.choice(ODD), rng.choice(ODD))), encoding="utf-8")
    else:
        overrides = folder / "overrides.yaml"
        file.write_text(original, encoding="utf-8")
        part: Any = {}
        key = rng.choice([*content, "none"])
        part[key] = inputs.value(rng)
        if isinstance(content.get(key), dict) and rng.random() < 0.8:
            part[key] = {rng.choice([*content[key], "none"]): inputs.value(rng)}
        overrides.write_bytes(dumped(part) if rng.random() < 0.8 else rng.choice(ODD).encode())
    try:
        params = load_params(file, overrides)
    except LexivertError as error:
        one_line(error)
        return
    read = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    if overrides is not None:
        read = overridden(read, YAML(typ="safe", pure=True).load(overrides.read_text(encoding="utf-8")) or {})
    as_declared(Params, params, read, "params")
    try:
        check_params(params, *filter(None, (file, overrides)))
    except LexivertError as error:
        one_line(error)


def one_line(error: LexivertError) -> None:
    """A mistake is told in one line that is not endless."""
    message = str(error)
    assert message
    assert "\n" not in message
    assert len(message) < 2000, message[:300]


@cache
def _parsed(original: str) -> Any:
    return YAML(typ="safe", pure=True).load(original)


def changed(content: dict[str, Any], rng: random.Random) -> None:
    """Give some keys other values, or take them away, or add some."""
    for _ in range(rng.randint(1, 3)):
        section: Any = content
        while True:
            keys = list(section) if isinstance(section, dict) else []
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(section[key], dict) and rng.random() < 0.85:
                section = section[key]
                continue
            what = rng.random()
            if what < 0.8:
                section[key] = near(section[key], rng)
            elif what < 0.9:
                del section[key]
            else:
                section[rng.choice(("none", "Seed", "", 1, True))] = inputs.value(rng)
            break


def near(original: Any, rng: random.Random) -> Any:
    """A value like the original but of another type or size, or anything."""
    if isinstance(original, int | float) and rng.random() < 0.5:
        return rng.choice(
            (bool(original), str(original), float(original), -original, original * 2, [original], 2**70)
        )
    if isinstance(original, list) and rng.random() < 0.5:
        return rng.choice(([], original * 2, [*original, inputs.value(rng)], tuple(original) and original[0]))
    return inputs.value(rng)


def dumped(content: Any) -> bytes:
    """As a file."""
    stream = io.BytesIO()
    YAML(typ="safe", pure=True).dump(content, stream)
    return stream.getvalue()


def damaged(original: str, rng: random.Random) -> bytes:
    """The file with some bytes put in, left out or changed, or with a line twice."""
    data = bytearray(original.encode())
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(data))
        what = rng.random()
        if what < 0.3:
            data[place] = rng.randrange(256)
        elif what < 0.5:
            del data[place : place + rng.randint(1, 20)]
        elif what < 0.8:
            data[place:place] = inputs.text(rng)[:40].encode("utf-8", "surrogatepass")
        else:
            lines = data.decode("utf-8", "replace").splitlines(keepends=True)
            number = rng.randrange(len(lines))
            lines.insert(number, lines[number])
            data = bytearray("".join(lines).encode())
    return bytes(data)


def as_declared(kind: Any, found: Any, read: Any, place: str) -> None:
    """An accepted value is of the type that is declared, finite, and what the file says: nothing is guessed."""
    kind = getattr(kind, "__value__", kind)
    origin = typing.get_origin(kind)
    if origin is typing.Annotated:
        as_declared(typing.get_args(kind)[0], found, read, place)
    elif origin is typing.Literal:
        assert any(found == one and type(read) is type(one) for one in typing.get_args(kind)), (place, read)
        assert found == read, (place, found, read)
    elif origin is tuple:
        assert isinstance(read, list), (place, read)
        assert len(read) == len(found), (place, read)
        for number, (value, given) in enumerate(zip(found, read, strict=True)):
            as_declared(typing.get_args(kind)[0], value, given, f"{place}.{number}")
    elif origin in {typing.Union, types.UnionType}:
        assert any(matches(one, found, read, place) for one in typing.get_args(kind)), (place, read)
    elif isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        assert isinstance(read, dict), (place, read)
        hints = typing.get_type_hints(kind, include_extras=True)
        assert set(read) <= set(kind.model_fields), (place, set(read) - set(kind.model_fields))
        for name in kind.model_fields:
            if place != "params" or name != "plugins":  # paths, completed with the file's folder
                as_declared(hints[name], getattr(found, name), read.get(name), f"{place}.{name}")
    else:
        wanted = {float: (float, int), int: (int,), str: (str,), bool: (bool,)}[kind]
        assert type(read) in wanted, (place, read, found)
        assert type(found) is kind, (place, read, found)
        assert found == read, (place, read, found)
        assert kind is not float or math.isfinite(found), (place, found)
        assert kind is not int or -(2**63) <= found < 2**63, (place, found)


def matches(kind: Any, found: Any, read: Any, place: str) -> bool:
    """Whether a value is of one of several types."""
    if kind is type(None):
        return found is None and read is None
    try:
        as_declared(kind, found, read, place)
    except AssertionError:
        return False
    return True
