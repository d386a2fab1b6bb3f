"""Fingerprints of code: syntax trees of everything that a module imports, without comments and docstrings.

A stage's result depends on the code that it runs, so DVC and checkpoints need to know when that code changes, and only
then. Comments, docstrings and layout are no part of a syntax tree as it is read here; the modules are those of the
import closure, so that code which a stage can't reach doesn't count. Nothing is imported for that.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

PACKAGE = "lexivert"
EXEMPT = frozenset({"lexivert.config", "lexivert.errors", "lexivert.yaml_reader"})
"""Modules that count for nobody: what they carry, DVC tracks as params."""


class Module:
    """One source file of the package.

    Args:
        name: dotted.
        path: of the file; for a package, that of its ``__init__.py``.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.is_package = path.name == "__init__.py"
        self._tree = ast.parse(path.read_bytes(), str(path))

    @cached_property
    def digest(self) -> str:
        """Hash of the syntax tree without strings that stand alone, which is what docstrings are."""
        return hashlib.blake2b("\0".join(_fields(self._tree)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()

    @cached_property
    def is_empty(self) -> bool:
        """Whether there is nothing but docstrings."""
        return all(_is_docstring(node) for node in self._tree.body)

    def imports(self, *, at_load: bool) -> Iterator[tuple[str, str | None]]:
        """What the module imports: pairs of a module and, in ``from module import name``, the name.

        Args:
            at_load: leave out what only functions import. A package's lazy attributes are imported so.
        """
        for node in _outside_functions(self._tree) if at_load else ast.walk(self._tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, None) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield from ((node.module, alias.name) for alias in node.names)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not at_load:
                if node.value.startswith(f"{PACKAGE}."):  # a name for importlib
                    yield node.value, None


class SourceTree:
    """The package's source files, each read once.

    Args:
        folder: that holds the package's top folder.
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
            self._known[name] = Module(name, path) if path else None
        return self._known[name]

    def closure(self, name: str) -> list[Module]:
        """Modules that a module runs, itself first and the rest by name, without those that are exempt or empty.

        A package counts with what it imports at load; also with what its functions import, if a name is taken from it
        that is no module of its own.

        Raises:
            ValueError: there is no such module.
        """
        start = self.module(name)
        if start is None:
            raise ValueError(f"there is no module {name}")
        waiting, seen = [(name, False)], set()
        while waiting:
            step = waiting.pop()
            if step not in seen and step[0] not in EXEMPT:
                seen.add(step)
                waiting += self._next(*step)
        found = [self.module(other) for other in sorted({other for other, _ in seen} - {name})]
        return [start, *(module for module in found if module and not module.is_empty)]

    def fingerprint(self, name: str) -> str:
        """One line a module of the closure: its digest and its name."""
        return "".join(f"{module.digest} {module.name}\n" for module in self.closure(name))

    def _next(self, name: str, only_at_load: bool) -> Iterator[tuple[str, bool]]:  # noqa: FBT001
        """Modules to look at behind one, and whether of a package only what it imports at load."""
        module = self.module(name)
        if module is None:
            return
        for imported, attribute in module.imports(at_load=only_at_load):
            if self.module(imported) is None:
                continue
            parts = imported.split(".")
            yield from ((".".join(parts[:depth]), True) for depth in range(1, len(parts)))
            if attribute is not None and self.module(f"{imported}.{attribute}"):
                yield from ((imported, True), (f"{imported}.{attribute}", False))
            else:
                yield imported, False


def libraries(tree: SourceTree, name: str) -> set[str]:
    """Top-level names of what is imported from outside the package by a module's closure."""
    pairs = (pair for module in tree.closure(name) for pair in module.imports(at_load=False))
    return {imported.partition(".")[0] for imported, _ in pairs} - {PACKAGE}


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


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from _outside_functions(child)
