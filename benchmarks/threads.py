"""What a busy neighbour costs: time to encode and decode beside another process, over the time without one.

Threads that spin while they wait take the processor from the very thread that they wait for, so that two threads on
two busy cores were ten times slower than one. Lexivert's threads sleep instead (``lexivert.threads``). Here each
repetition runs the same texts in a fresh process twice, alone and beside processes that never rest, in turn, so that
a machine that gets slower meanwhile slows both. The bar: with one such neighbour, by default, at most 2.5 times.

    python benchmarks/threads.py --model models/lexivert --repeats 5 --out metrics/benchmarks/threads.json

Needs a model folder (stage ``export``), and a machine that does nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from common import run_command
from lexivert.artifacts import write_metrics
from lexivert.errors import LexivertError

BAR = 2.5
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "one_thread": {"OMP_NUM_THREADS": "1"},
    "spinning": {"OMP_WAIT_POLICY": "ACTIVE", "GOMP_SPINCOUNT": "300000", "KMP_BLOCKTIME": "200"},
}
"""Environments to compare: as ``import lexivert`` leaves it, with one thread, and as the OpenMP runtimes (GNU's, and
LLVM's) do when nobody tells them anything."""
_TEXT = "The captain of ship number {0} saw {1} lights beyond the harbour, and nobody on deck would say a word."
_WORKER = """
import json, sys, time
import lexivert
model = lexivert.Lexivert.from_pretrained(sys.argv[1])
texts = json.load(sys.stdin)
model.decode(model.encode(texts[:4]))
start = time.perf_counter()
vectors = model.encode(texts)
encoded = time.perf_counter()
model.decode(vectors)
print(json.dumps({"encode": encoded - start, "decode": time.perf_counter() - encoded}))
"""
_NEIGHBOUR = "while True: pass"


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Keep so many processors busy with something else; gives the processes."""
    command = [sys.executable, "-c", _NEIGHBOUR]
    processes = [subprocess.Popen(command) for _ in range(count)]  # noqa: S603 our own script
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


def run_once(model: Path, texts: list[str], setting: Mapping[str, str], busy: int) -> dict[str, float]:
    """Seconds for encoding and decoding the texts in a fresh process, beside ``busy`` others.

    Raises:
        LexivertError: the model can't be loaded or run.
    """
    known = {name for variables in SETTINGS.values() for name in variables}
    environment = {name: value for name, value in os.environ.items() if name not in known}
    with neighbours(busy):
        answer = subprocess.run(  # noqa: S603 our own script
            [sys.executable, "-c", _WORKER, str(model)],
            input=json.dumps(texts),
            env=environment | dict(setting),
            capture_output=True,
            text=True,
            check=False,
        )
    if answer.returncode:
        raise LexivertError(f"{model}: {answer.stderr.strip().splitlines()[-1]}")
    seconds: dict[str, float] = json.loads(answer.stdout)
    return seconds


Pair = tuple[dict[str, float], dict[str, float]]
"""Seconds by work, alone and beside neighbours."""


def measure(model: Path, texts: list[str], repeats: int, busy: int) -> dict[str, Any]:
    """Run all settings alone and beside neighbours, in turn; see ``summary``."""
    pairs: dict[str, list[Pair]] = {name: [] for name in SETTINGS}
    for _ in tqdm(range(repeats), desc="repeats", disable=None):
        for name, setting in SETTINGS.items():
            pairs[name].append((run_once(model, texts, setting, 0), run_once(model, texts, setting, busy)))
    return {name: summary(taken) for name, taken in pairs.items()}


def summary(taken: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Median seconds alone and beside neighbours, and the median ratio of the two, by work."""
    return {
        work: {
            "quiet_seconds": statistics.median(quiet[work] for quiet, _ in taken),
            "busy_seconds": statistics.median(busy[work] for _, busy in taken),
            "ratio": statistics.median(busy[work] / quiet[work] for quiet, busy in taken),
        }
        for work in ("encode", "decode")
    }


def met(results: Mapping[str, Any]) -> bool:
    """Whether the default keeps to the bar; what is no number does not."""
    return all(found["ratio"] <= BAR for found in results["default"].values())


def table(results: Mapping[str, Any]) -> Table:
    """The results for people."""
    shown = Table(box=None, pad_edge=False)
    for title in ("threads", "work", "alone", "beside", "ratio"):
        shown.add_column(title, justify="left" if title in {"threads", "work"} else "right")
    for name, works in results.items():
        for work, found in works.items():
            seconds = (f"{found[key]:.2f} s" for key in ("quiet_seconds", "busy_seconds"))
            shown.add_row(name, work, *seconds, f"{found['ratio']:.2f}")
    return shown


def main(
    model: Annotated[Path, typer.Option(help="Model folder.")] = Path("models/lexivert"),
    texts: Annotated[int, typer.Option(min=1, help="Texts to encode and decode.")] = 200,
    repeats: Annotated[int, typer.Option(min=1, help="Pairs of runs for each setting.")] = 5,
    busy: Annotated[int, typer.Option(min=1, help="Processes beside ours.")] = 1,
    out: Annotated[Path | None, typer.Option(help="JSON file for the results.")] = None,
) -> None:
    """Measure, show, and tell whether the bar is met; it is not met: exit code 1."""
    written = [_TEXT.format(number, number % 17) for number in range(texts)]
    results = measure(model, written, repeats, busy)
    Console().print(table(results))
    good = met(results)
    if out is not None:
        write_metrics(out, {"texts": texts, "repeats": repeats, "busy": busy, **results})
    typer.echo(f"the default takes at most {BAR} times as long: {'yes' if good else 'no'}")
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
