"""What ``lexivert`` shows on a terminal: a rebuild as it goes, and tables of neighbours and scores."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lexivert.display import show, visible
from lexivert.generation.base import Candidate
from lexivert.model import Lexivert, Neighbor, Reading, Step

OPEN_MARK = "·"
"""Stands for a position that is not decoded yet."""
_LONGEST_SHOW = 6.0  # seconds
_LINE_OF_A_FILE = 100_000  # characters
_ROWS = 12  # latest steps kept in sight

Join = Callable[[Sequence[int]], str]


def buffer_text(buffer: Iterable[int], join: Join) -> str:
    """Write a half-decoded buffer: known runs as text, open positions as ``·``.

    Args:
        buffer: unit ids, -1 where open.
        join: unit ids to text.
    """
    parts: list[str] = []
    run: list[int] = []
    for unit in (*buffer, -1):
        if unit >= 0:
            run.append(unit)
            continue
        parts += [text for text in [join(run)] if text]
        parts.append(OPEN_MARK)
        run = []
    return " ".join(parts[:-1])


def show_rebuild(console: Console, model: Lexivert, reading: Reading) -> None:
    """Show every step of a rebuild: live on a terminal, a line a step elsewhere."""
    if not console.is_terminal:
        for number, step in enumerate(reading.steps, start=1):
            show(_line(model, number, step))
        return
    pause = min(0.12, _LONGEST_SHOW / max(len(reading.steps), 1))
    with Live(console=console, auto_refresh=False) as live:
        for number in range(1, len(reading.steps) + 1):
            live.update(_frame(model, reading.steps[:number]), refresh=True)
            time.sleep(pause)


def _line(model: Lexivert, number: int, step: Step) -> str:
    unit = model.encoder.segmenter.surface([step.unit])[0]
    text = buffer_text(step.buffer, model.encoder.segmenter.join)
    facts = f"{number:>4}  {unit:<16}  at {step.position:<3}  p {step.score:.3f}  residual {step.residual:.4f}"
    return f"{facts}  {text}".rstrip()


def _frame(model: Lexivert, steps: Sequence[Step]) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for title, justify in (("step", "right"), ("unit", "left"), ("position", "right"), ("probability", "right")):
        table.add_column(title, justify=justify)  # type: ignore[arg-type]
    table.add_column("residual", width=32)
    for number in range(max(0, len(steps) - _ROWS), len(steps)):
        step = steps[number]
        unit = model.encoder.segmenter.surface([step.unit])[0]
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=1.0, completed=step.residual, width=22), f"{step.residual:.4f}")
        table.add_row(str(number + 1), _cell(unit, "bold"), str(step.position), _probability(step.score), bar)
    text = buffer_text(steps[-1].buffer, model.encoder.segmenter.join)
    return Group(table, Panel(_cell(text), title="text so far", title_align="left", border_style="dim"))


@contextlib.contextmanager
def show_drafts(console: Console) -> Iterator[Callable[[list[Candidate]], None]]:
    """Show the best text so far whenever there is another one: live on a terminal, a line a text elsewhere.

    Yields:
        What is to be called with the best texts so far; of several the first is shown.
    """
    seen: list[Candidate] = []
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def watch(best: list[Candidate]) -> None:
        if best and (not seen or seen[-1].text != best[0].text):
            seen.append(best[0])
            if live is not None:
                live.update(_drafts(seen), refresh=True)
            else:
                show(f"{len(seen):>4}  cosine {best[0].cosine:.4f}  {best[0].text}")

    with live or contextlib.nullcontext():
        yield watch


def _drafts(seen: Sequence[Candidate]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("draft", justify="right")
    table.add_column("cosine", width=32)
    table.add_column("text", overflow="fold")
    for number in range(max(0, len(seen) - _ROWS), len(seen)):
        one = seen[number]
        bar = Table.grid(padding=(0, 1))
        bar.add_row(ProgressBar(total=1.0, completed=max(one.cosine, 0.0), width=22), f"{one.cosine:.4f}")
        table.add_row(str(number + 1), bar, _cell(one.text))
    return table


def _cell(text: str, style: str = "") -> Text:
    """Text of a user or a model in a table: rich would read markup and emoji codes into a plain string."""
    return Text(visible(text), style)


def _probability(score: float) -> Text:
    style = "green" if score >= 0.95 else "yellow" if score >= 0.5 else "red"
    return Text(f"{score:.3f}", style)


def show_table(table: Table) -> None:
    """Write a table to standard output; one that is not a terminal has lines of any length."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_LINE_OF_A_FILE)
    console.print(table)


def verdict(reading: Reading, original: str) -> str:
    """Say in one line whether a text was read back exactly, and whether the vector certifies it.

    Args:
        reading: what was read.
        original: the text as it was encoded, white space collapsed.
    """
    exact = "read back exactly" if reading.text == original else "not read back exactly"
    verified = "verified by a zero residual" if reading.verified else "not verified"
    return f"{exact}, {verified} (fit {reading.fit:.6f}, {len(reading.units)} units)"


def neighbor_table(neighbors: Sequence[Neighbor]) -> Table:
    """Units with kind and cosine, the nearest first."""
    table = Table(box=None, pad_edge=False)
    table.add_column("unit", overflow="fold")
    table.add_column("kind")
    table.add_column("cosine", justify="right")
    for neighbor in neighbors:
        table.add_row(_cell(neighbor.surface, "bold"), _cell(neighbor.kind), f"{neighbor.score:.4f}")
    return table


def score_table(scores: Sequence[tuple[str, str, str, str, float]]) -> Table:
    """Main scores of benchmark tasks.

    Args:
        scores: task, split, subset, name of the score, score.
    """
    table = Table(box=None, pad_edge=False)
    table.add_column("task", overflow="fold")
    for title in ("split", "subset", "measure"):
        table.add_column(title)
    table.add_column("score", justify="right")
    for task, split, subset, measure, value in scores:
        names = map(_cell, (split, subset, measure))
        table.add_row(_cell(task, "bold"), *names, f"{value:.4f}")
    return table
