"""Many texts in units, on all cores: segmentation is plain Python, of which one process uses one core."""

from __future__ import annotations

import multiprocessing
import os
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter

_A_PROCESS = 20_000
"""Texts that are worth a further process, which takes a second to start."""
_AT_ONCE = 1000
_segmenter: Segmenter | None = None  # of a process of the pool


def segment_texts(lexicon: Lexicon, texts: Sequence[str], label: str, processes: int = 0) -> pa.ListArray:
    """Unit ids of each text, a list of int32 each, with a progress bar.

    Args:
        lexicon: the units.
        texts: any number.
        label: of the progress bar.
        processes: that share the work; 0 for as many as there are cores and the texts are worth, which takes a main
            module that Python can import again.

    Raises:
        ValueError: see ``text.tokenizer.normalize``.
    """
    count = processes or min(_cores(), 1 + len(texts) // _A_PROCESS)
    units, ends = array("i"), array("i", [0])
    with tqdm(total=len(texts), desc=label, unit="sentence", mininterval=1.0) as bar:
        for found, lengths in _parts(lexicon, texts, count):
            last = len(units)
            units.extend(found)
            ends.extend(last + end for end in np.cumsum(lengths).tolist())
            bar.update(len(lengths))
    return pa.ListArray.from_arrays(np.asarray(ends, dtype=np.int32), np.asarray(units, dtype=np.int32))


def _parts(lexicon: Lexicon, texts: Sequence[str], processes: int) -> Iterator[tuple[array[int], list[int]]]:
    """Units of some texts one after the other, and how many each has, in the texts' order."""
    parts = [texts[start : start + _AT_ONCE] for start in range(0, len(texts), _AT_ONCE)]
    if processes == 1:
        yield from map(partial(_segmented, Segmenter(lexicon)), parts)
        return
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may wait for ever
    with ProcessPoolExecutor(processes, context, _begin, (lexicon,)) as pool:
        yield from pool.map(_segmented_in_pool, parts)


def _begin(lexicon: Lexicon) -> None:
    global _segmenter  # noqa: PLW0603 a pool's way to give each process its own
    _segmenter = Segmenter(lexicon)


def _segmented_in_pool(texts: Sequence[str]) -> tuple[array[int], list[int]]:
    assert _segmenter is not None
    return _segmented(_segmenter, texts)


def _segmented(segmenter: Segmenter, texts: Sequence[str]) -> tuple[array[int], list[int]]:
    units, lengths = array("i"), []
    for text in texts:
        own = segmenter.segment(text)
        units.extend(own)
        lengths.append(len(own))
    return units, lengths


def _cores() -> int:
    """Cores for this process, or fewer if the user wants fewer threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wanted)) if wanted.isdecimal() and int(wanted) else cores
