"""Fingerprints of code: syntax trees of everything that a module imports, without comments and docstrings.

A stage's result depends on the code that it runs, so DVC and checkpoints need to know when that code changes, and
only then. Comments, docstrings and layout are no part of a syntax tree as it is read here; the modules are those of
the import closure, so that code which a stage can't reach doesn't count. Nothing is imported for that.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

PACKAGE = "lexivert"
EXEMPT = frozenset(
    {
        "lexivert.code_fingerprint",
        "lexivert.commands",
        "lexivert.config",
        "lexivert.config.data",
        "lexivert.config.decoding",
        "lexivert.config.encoding",
        "lexivert.config.evaluation",
        "lexivert.config.fields",
        "lexivert.errors",
        "lexivert.threads",
        "lexivert.yaml_reader",
    }
)
"""Modules that count for no one: params, whose values DVC tracks by themselves, errors and how they are said, what
decides how long a stage takes but not what it writes, and this module."""


class Import(NamedTuple):
    """``import module`` or ``from module import attribute``; quoted: a string that importlib may be given."""

    module: str
    attribute: str | None = None
    quoted: bool = False


class Module:
    """One source file of the package.

    Args:
        name: dotted.
        path: of the file; for a package, that of its ``__init__.py``.
        source: its bytes; read if None.

    Attributes:
        digest: hash of the syntax tree without strings that stand alone, which is what docstrings are.
        is_empty: whether there is nothing but docstrings.
        imports: what the module imports, inside functions too; a string that may be a module's name counts.
        imports_at_load: what is imported outside functions. A package's lazy attributes are not.
    """

    def __init__(self, name: str, path: Path, source: bytes | None = None) -> None:
        self.name = name
        self.is_package = path.name == "__init__.py"
        tree = ast.parse(path.read_bytes() if source is None else source, str(path))  # not kept: it is large
        text = "\0".join(_fields(tree))
        self.digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        self.is_empty = all(_is_docstring(node) for node in tree.body)
        self.imports = list(self._imports(_nodes(tree, functions=True)))
        self.imports_at_load = [found for found in self._imports(_nodes(tree, functions=False)) if not found.quoted]

    def _imports(self, nodes: Iterable[ast.AST]) -> Iterator[Import]:
        for node in nodes:
            if isinstance(node, ast.Import):
                yield from (Import(alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (Import(self._absolute(node), alias.name) for alias in node.names)
            elif isinstance(node, ast.Constant) and str(node.value).startswith(f"{PACKAGE}."):
                yield Import(str(node.value), quoted=True)

    def _absolute(self, node: ast.ImportFrom) -> str:
        package = self.name.split(".") if self.is_package else self.name.split(".")[:-1]
        base = package[: len(package) + 1 - node.level] if node.level else []
        return ".".join([*base, *filter(None, [node.module])])


class SourceTree:
    """The package's source files, each read once.

    Args:
        folder: that holds the package's top folder; where this file's package lies if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or Path(__file__).resolve().parents[1]
        self._known: dict[str, Module | None] = {}

    def module(self, name: str) -> Module | None:
        """A module of the package, or None if there is no such file."""
        if name not in self._known:
            base = self._folder / Path(*name.split("."))
            paths = (base.with_suffix(".py"), base / "__init__.py")
            path = next((path for path in paths if path.is_file()), None) if name.startswith(PACKAGE) else None
            self._known[name] = _parsed(name, path, path.read_bytes()) if path else None
        return self._known[name]

    def closure(self, entry: str | Path) -> list[Module]:
        """Modules that an entry runs, itself first and the rest by name, without those that are exempt or empty.

        A package counts with what it imports at load; also with what its functions import, if a name is taken from it
        that is no module of its own. The top package, which is but a door, counts in that case alone.

        Args:
            entry: dotted name of a module, or a script outside the package.

        Raises:
            ValueError: there is no such module.
        """
        start = Module(entry.stem, entry) if isinstance(entry, Path) else self.module(entry)
        if start is None:
            raise ValueError(f"there is no module {entry}")
        waiting, seen = list(self._behind(start, at_load=False)), {(start.name, False)}
        while waiting:
            step = waiting.pop()
            module = self.module(step[0])
            if module is not None and step not in seen and module.name not in EXEMPT:
                seen.add(step)
                waiting += self._behind(module, at_load=step[1])
        found = [self.module(name) for name in sorted({name for name, _ in seen} - {start.name})]
        return [start, *(module for module in found if module and not module.is_empty)]

    def fingerprint(self, entry: str | Path) -> str:
        """One line a module of the closure: its digest and its name."""
        return "".join(f"{module.digest} {module.name}\n" for module in self.closure(entry))

    def libraries(self, entry: str | Path) -> set[str]:
        """Top-level names of what the closure imports from outside the package."""
        imports = (found for module in self.closure(entry) for found in module.imports)
        return {found.module.partition(".")[0] for found in imports} - {PACKAGE}

    def _behind(self, module: Module, *, at_load: bool) -> Iterator[tuple[str, bool]]:
        """Names of the package that a module imports, and whether each counts with its imports at load alone."""
        for imported, attribute, _ in module.imports_at_load if at_load else module.imports:
            parts = imported.split(".")
            if parts[0] == PACKAGE:
                yield from ((".".join(parts[:depth]), True) for depth in range(2, len(parts)))
                if attribute is not None and self.module(f"{imported}.{attribute}"):
                    yield from ((imported, True), (f"{imported}.{attribute}", False))[imported == PACKAGE :]
                else:
                    yield imported, False


@lru_cache(maxsize=1024)
def _parsed(name: str, path: Path, source: bytes) -> Module:
    """A module of these bytes; from one tree to the next, most files are the same."""
    return Module(name, path, source)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _fields(node: ast.AST) -> Iterator[str]:
    """A tree as strings; empty fields are left out, since new versions of Python add such."""
    yield type(node).__name__
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield name
            yield from _fields(value)
        elif isinstance(value, list):
            items = [item for item in value if not _is_docstring(item)]
            if items:
                yield f"{name} {len(items)}"
            for item in items:
                if isinstance(item, ast.AST):
                    yield from _fields(item)
                else:
                    yield repr(item)
        elif value is not None:
            yield f"{name} {value!r}"


def _nodes(node: ast.AST, *, functions: bool) -> Iterator[ast.AST]:
    """All nodes below one, but for what only type checkers read, and without ``functions`` for what is in these."""
    for child in ast.iter_child_nodes(node):
        yield child
        is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        if (functions or not is_function) and not _is_type_checking(child):
            yield from _nodes(child, functions=functions)


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
