"""Rates of this checkout beside another's, such as the previous release, pair by pair: part of ``speed.py``.

Two processes stay alive, one with each checkout's ``src`` first on the path and its trained project loaded, and take
turns: ours, theirs, ours, theirs. Whatever slows the machine for a while slows both of a pair, so the ratio of a pair
is what counts, and of all pairs the median. Of the other checkout no more is used than ``Lexivert.load(root)``,
``encode(texts)`` and ``decode(vectors)``. Both encode the same texts, each in its own units, and read their own
vectors. How threads wait is each checkout's own matter.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from lexivert.errors import LexivertError

BAR = 0.95
"""Least median rate, as a share of the other checkout's."""
WORKS = ("encode", "decode")
_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")  # set by ``import lexivert``
_SOURCES = Path(__file__).resolve().parents[1] / "src"
_WORKER = """
import json, os, sys, time
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # nothing else may answer
import lexivert.model
model = lexivert.model.Lexivert.load(sys.argv[1])
texts, decoded = json.loads(sys.stdin.readline())
vectors = model.encode(decoded)
model.encode(texts[:64])
model.decode(vectors[:8])
print(json.dumps({"code": lexivert.model.__file__}), file=answers, flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    model.encode(texts)
    between = time.perf_counter()
    read = []
    for first in range(0, len(decoded), 64):
        read += model.decode(vectors[first : first + 64])
    took = {"encode": between - start, "decode": time.perf_counter() - between}
    took["exact_match"] = sum(map(str.__eq__, read, decoded)) / len(decoded)
    print(json.dumps(took), file=answers, flush=True)
"""


class Checkout:
    """A process that runs one checkout's code on its own project.

    Args:
        sources: folder that holds its package ``lexivert``.
        root: its trained project.
        texts: to be encoded.
        decoded: texts whose vectors are to be read.

    Raises:
        LexivertError: the project can't be loaded, or another package was found in place of the checkout's own.
    """

    def __init__(self, sources: Path, root: Path, texts: Sequence[str], decoded: Sequence[str]) -> None:
        environment = {name: value for name, value in os.environ.items() if name not in _WAITING}
        path = os.pathsep.join(filter(None, [str(sources.resolve()), environment.get("PYTHONPATH")]))
        self._root = root
        self._process = subprocess.Popen(  # noqa: S603 our own script
            [sys.executable, "-c", _WORKER, str(root.resolve())],
            cwd=root,  # a project's params may name files below it
            env=environment | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            found = Path(self._asked([list(texts), list(decoded)])["code"]).resolve()
            if not found.is_relative_to(sources.resolve()):
                raise LexivertError(f"{sources} holds no package lexivert; {found} was loaded in its place")
        except LexivertError:
            self.close()
            raise

    def run(self) -> dict[str, float]:
        """Seconds of encoding and decoding once, and the share of texts that were read back exactly."""
        seconds: dict[str, float] = self._asked("again")
        return seconds

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _asked(self, question: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # what went wrong stands on standard error already
            self._process.stdin.write(f"{json.dumps(question)}\n")
            self._process.stdin.flush()
        if answer := self._process.stdout.readline():
            return json.loads(answer)
        raise LexivertError(f"{self._root}: the process that ran it ended, see above")


@contextlib.contextmanager
def checkouts(ours: Path, theirs: Path, texts: Sequence[str], decoded: Sequence[str]) -> Iterator[list[Checkout]]:
    """This checkout on project ``ours``, and the one in folder ``theirs``."""
    with contextlib.ExitStack() as stack:
        started = []
        for sources, root in ((_SOURCES, ours), (theirs / "src", theirs)):
            started.append(Checkout(sources, root, texts, decoded))
            stack.callback(started[-1].close)
        yield started


def measure(ours: Path, theirs: Path, texts: Sequence[str], decoded: Sequence[str], pairs: int) -> dict[str, Any]:
    """Rates of both checkouts and their ratios; see ``summary``."""
    with checkouts(ours, theirs, texts, decoded) as (own, other):
        taken = [(own.run(), other.run()) for _ in tqdm(range(pairs), desc="pairs")]
    return summary(taken, {"encode": len(texts), "decode": len(decoded)})


def summary(taken: Sequence[tuple[dict[str, float], dict[str, float]]], texts: dict[str, int]) -> dict[str, Any]:
    """Medians over pairs.

    Args:
        taken: seconds of ours and of theirs for each work, and ``exact_match``, pair by pair.
        texts: how many a run of each work takes.

    Returns:
        For each work ``ratio``, the median of our rate over theirs, one ratio a pair under ``pair_<n>``, and both
        median rates; ``exact_match`` of ours and theirs; and the number of ``pairs``.
    """
    report: dict[str, Any] = {"pairs": len(taken)}
    for work in WORKS:
        ratios = [theirs[work] / ours[work] for ours, theirs in taken]
        report[work] = {
            "ratio": median(ratios),
            "texts_per_second": texts[work] / median(ours[work] for ours, _ in taken),
            "their_texts_per_second": texts[work] / median(theirs[work] for _, theirs in taken),
            **{f"pair_{number}": ratio for number, ratio in enumerate(ratios, start=1)},
        }
    report["exact_match"] = min(ours["exact_match"] for ours, _ in taken)
    report["their_exact_match"] = min(theirs["exact_match"] for _, theirs in taken)
    return report


def missed(report: dict[str, Any]) -> list[str]:
    """Works whose median ratio is below the bar, or no number."""
    return [work for work in WORKS if not report[work]["ratio"] >= BAR]


def show(report: dict[str, Any]) -> None:
    """Print ratios pair by pair, and their medians."""
    table = Table("work", "ours /s", "theirs /s", "our rate over theirs, pair by pair", "median", "bar")
    for work in WORKS:
        found = report[work]
        ratios = "  ".join(f"{found[f'pair_{number}']:.3f}" for number in range(1, report["pairs"] + 1))
        rates = (f"{found[key]:.1f}" for key in ("texts_per_second", "their_texts_per_second"))
        verdict = f"{'[red]missed' if work in missed(report) else '[green]kept'} {BAR:g}"
        table.add_row(work, *rates, ratios, f"{found['ratio']:.3f}", verdict)
    Console().print(table)
    Console().print(f"read exactly: {report['exact_match']:.3f}, theirs {report['their_exact_match']:.3f}")
