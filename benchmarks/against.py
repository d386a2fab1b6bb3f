"""Rates of two releases of this project side by side: each encodes and decodes the same texts in its own process.

Both processes stay alive and are asked in turn, one and then the other, so that what else a machine does falls on
both; each pair gives a ratio, and the median of the ratios counts. Run as a script, this module is such a process: it
needs nothing of a release but ``Lexivert.load``, ``encode`` and ``decode`` of ``lexivert.model``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Any, Self

Figures = dict[str, float]

_WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
"""How threads wait is each release's own matter: ``import lexivert`` has set these for this process alone."""


class Release:
    """One release in a process of its own, as a context manager.

    Args:
        root: folder of a trained project, with its sources under ``src``.
        sources: folder that holds the package; ``root/src`` if None.
    """

    def __init__(self, root: Path, sources: Path | None = None) -> None:
        self._root = root
        sources = (sources or root / "src").resolve()
        environment = {name: value for name, value in os.environ.items() if name not in _WAITING}
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, __file__, str(root.resolve()), str(sources)],
            env=environment | {"PYTHONPATH": str(sources)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()  # the end of its input ends it
        self._process.stdout.close()
        self._process.wait()

    def ask(self, what: str, texts: Sequence[str] = ()) -> dict[str, Any]:
        """Have texts encoded, or those given first with ``prepare`` decoded.

        Args:
            what: ``encode``, ``prepare`` or ``decode``.
            texts: to be encoded or prepared.

        Returns:
            ``seconds``; of ``decode`` also ``exact_match``.

        Raises:
            RuntimeError: the process has ended; its own error is on stderr.
        """
        assert self._process.stdin
        assert self._process.stdout
        try:
            self._process.stdin.write(json.dumps({"what": what, "texts": list(texts)}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"the process of the release in {self._root} has ended")
        found: dict[str, Any] = json.loads(answer)
        return found


def compare(own: Release, other: Release, encoded: Sequence[str], decoded: Sequence[str], rounds: int) -> Figures:
    """Ask two releases in turn; print the ratio of every pair.

    Args:
        own: this project.
        other: what it is compared with.
        encoded: texts encoded in all rounds together, new ones in each.
        decoded: texts decoded in every round.
        rounds: pairs of each measurement.

    Returns:
        For ``encode`` and ``decode``: ``*_ratio``, the median of the ratios of rates, above 1 where this project is
        the faster, with ``*_ratio_min`` and ``*_ratio_max``; ``exact_match`` and ``other_exact_match``.
    """
    size = len(encoded) // rounds
    for release in (own, other):
        release.ask("prepare", decoded)
    ratios: dict[str, list[float]] = {"encode": [], "decode": []}
    figures: Figures = {"rounds": rounds, "encode_texts": size, "decode_texts": len(decoded)}
    for number in range(rounds):
        for what, found in ratios.items():
            texts = encoded[number * size : (number + 1) * size] if what == "encode" else ()
            mine, theirs = (release.ask(what, texts) for release in (own, other))
            found.append(theirs["seconds"] / mine["seconds"])
            print(
                f"{what}, pair {number + 1}: {mine['seconds']:.3f} s and {theirs['seconds']:.3f} s, {found[-1]:.3f}"
            )
        figures |= {"exact_match": mine["exact_match"], "other_exact_match": theirs["exact_match"]}
    for what, found in ratios.items():
        figures |= {f"{what}_ratio": median(found), f"{what}_ratio_min": min(found), f"{what}_ratio_max": max(found)}
    return figures


def serve(root: Path, sources: Path) -> None:
    """Answer requests, a line each, until the input ends.

    Raises:
        RuntimeError: another release than that of the sources was imported.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else a release prints
    from lexivert import model as module

    if not Path(module.__file__).resolve().is_relative_to(sources):
        raise RuntimeError(f"{sources} holds no lexivert; {module.__file__} was found")
    model = module.Lexivert.load(root)
    known: list[str] = []
    vectors: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        texts, answer = request["texts"], {}
        start = time.perf_counter()
        if request["what"] == "encode":
            model.encode(texts)
        elif request["what"] == "prepare":  # and make what is made once before the clock runs
            known, vectors = texts, model.encode(texts)
            model.decode(vectors[:8])
        else:
            found = model.decode(vectors)
            pairs = list(zip(known, found, strict=True))
            answer["exact_match"] = sum(text == read for text, read in pairs) / len(pairs)
        answer["seconds"] = time.perf_counter() - start
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]))
