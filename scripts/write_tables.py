"""Writes every generated table and figure of README.md and docs/: ``python scripts/write_tables.py [--check]``.

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` on lines of their own; it is made by
``result_tables.TABLES[NAME]``. A single figure in a sentence stands between ``<!-- value: FILE KEY FORMAT -->`` and
``<!-- end -->``, where FILE is the name below metrics/ without its suffix, KEY the dotted key, and FORMAT a Python
format such as ``.3f``. A Python file that a page shows in full stands between ``<!-- file: PATH -->`` and
``<!-- end -->``, some of its classes and functions behind ``<!-- file: PATH NAME NAME -->``. Nothing is written
unless every table and figure could be made.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Annotated

import typer
from result_tables import TABLES, MissingFigureError, Results

from lexivert import commands

MARKER = re.compile(
    r"(?P<open><!-- (?P<kind>table|value|file): (?P<what>[^>]+?) -->)(?P<body>.*?)(?P<close><!-- end -->)", re.S
)
ROOT = Path(__file__).resolve().parents[1]
OPENING = re.compile(r"<!-- (?:table|value|file): ")


def pages(root: Path) -> list[Path]:
    """README.md and every page below docs/."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]


def made(kind: str, what: str, results: Results) -> str:
    """What belongs between one pair of markers.

    Raises:
        MissingFigureError: there is no such table, or a metrics file lacks what it shows.
    """
    if kind == "table":
        if what not in TABLES:
            raise MissingFigureError(f"no table is called {what}; there are {', '.join(sorted(TABLES))}")
        return f"\n{TABLES[what](results)}\n"
    if kind == "file":
        name, *parts = what.split()
        return _shown(results.root / name, name, parts)
    parts = what.split()
    if len(parts) != 3:
        raise MissingFigureError(f"the marker `value: {what}` needs three words: file, key and format")
    file, key, form = parts
    try:
        return format(results.number(file, key), form)
    except ValueError as error:
        raise MissingFigureError(
            f"the marker `value: {what}` has the format {form}, which Python can't use"
        ) from error


def _shown(path: Path, name: str, parts: list[str]) -> str:
    """A Python file, or some of its classes and functions, as a block of code."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise MissingFigureError(f"{name} is missing") from error
    if parts:
        lines, defined = text.splitlines(), {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                defined[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
        missing = [part for part in parts if part not in defined]
        if missing:
            raise MissingFigureError(f"{name} has no class or function {missing[0]}")
        text = "\n\n\n".join(defined[part] for part in parts)
    return f"\n```python\n{text.rstrip()}\n```\n"


def filled(page: Path, results: Results) -> tuple[str, list[str], list[str]]:
    """One page with fresh tables.

    Returns:
        The new text, the names of what differed, and one line for everything that could not be made.
    """
    text = page.read_text(encoding="utf-8")
    name = page.relative_to(results.root).as_posix()
    differs: list[str] = []
    wrong: list[str] = []
    if len(OPENING.findall(text)) != len(MARKER.findall(text)):
        wrong.append(f"{name}: a marker of a table, value or file has no `<!-- end -->`")

    def replace(match: re.Match[str]) -> str:
        try:
            body = made(match["kind"], match["what"], results)
        except MissingFigureError as error:
            wrong.append(f"{name}: {match['kind']} {match['what']}: {error}")
            return match[0]
        if body != match["body"]:
            differs.append(f"{name}: {match['kind']} {match['what']}")
        return f"{match['open']}{body}{match['close']}"

    return MARKER.sub(replace, text), differs, wrong


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail if a table differs.")] = False,
    root: Annotated[Path, typer.Option(help="Project folder.")] = ROOT,
) -> None:
    """Write the generated tables of README.md and docs/ from metrics/ and experiments/."""
    results = Results(root.resolve())
    done = [(page, *filled(page, results)) for page in pages(results.root)]
    wrong = [line for _, _, _, lines in done for line in lines]
    if wrong:
        for line in wrong:
            typer.echo(f"error: {line}", err=True)
        raise typer.Exit(1)
    differs = [line for _, _, lines, _ in done for line in lines]
    for line in differs:
        typer.echo(f"{'differs' if check else 'written'}: {line}")
    if check:
        raise typer.Exit(1 if differs else 0)
    for page, text, lines, _ in done:
        if lines:
            page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(commands.run(lambda: typer.run(main), ROOT))
