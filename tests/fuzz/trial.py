"""One input at a time: what may happen and what is a fault, within a limit of time."""

from __future__ import annotations

import random
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

PROCESSOR_SECONDS, SECONDS = 10.0, 120.0
"""Limits of one input: what is computed, which a busy machine does not prolong; and what passes, if it waits."""


class Hang(BaseException):
    """An input took longer than its limit; no handler of ordinary errors stops it."""


@dataclass(frozen=True)
class Fault:
    """What went wrong.

    Attributes:
        part: which inputs it is one of.
        number: of the input; ``FUZZ_ONLY=part:number`` tries it alone.
        what: the end of the traceback.
    """

    part: str
    number: int
    what: str


@contextmanager
def limited() -> Iterator[None]:
    """Raise ``Hang`` in what takes too long."""

    def stop(number: int, _frame: object) -> None:
        raise Hang(f"more than {PROCESSOR_SECONDS:g} s of processor time, or {SECONDS:g} s, were taken ({number})")

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, PROCESSOR_SECONDS), (signal.ITIMER_REAL, signal.SIGALRM, SECONDS))
    before = [signal.signal(number, stop) for _, number, _ in timers]
    ticking = [signal.setitimer(timer, seconds) for timer, _, seconds in timers]  # pytest-timeout has one, too
    try:
        yield
    finally:
        for (timer, number, _), handler, former in zip(timers, before, ticking, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)
            signal.setitimer(timer, *former)


def faults(part: str, numbers: range, seed: int, attempt: Callable[[random.Random], None]) -> list[Fault]:
    """Try inputs; every input depends on nothing but seed, part and its number.

    Args:
        part: name of these inputs.
        numbers: which.
        seed: of all.
        attempt: makes an input and tries it; an exception is a fault.
    """
    found = []
    for number in numbers:
        try:
            with limited():
                attempt(random.Random(f"{seed}:{part}:{number}"))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            last = "".join(traceback.format_exception(error)[-6:])
            found.append(Fault(part, number, last[-3000:]))
    return found
