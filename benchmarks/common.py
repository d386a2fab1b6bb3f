"""What several benchmarks share: texts to read, noise, clocks, and this process's memory."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.text.tokenizer import normalize
from lexivert.text.wikitext import is_heading

DECODED_WORDS = 20
WORDS = (4, 40)
"""Least and most words of a sentence of WikiText."""
_SENTENCE_END = re.compile(r"(?<= [.?!]) ")


def drawn_texts(root: Path, seed: int) -> list[str]:
    """Distinct sentences of valid and test documents, in random order."""
    corpus = artifacts.read_parquet(Paths(root).corpus, ["split", "text"])
    rows = zip(corpus["split"].to_pylist(), corpus["text"].to_pylist(), strict=True)
    texts = list(dict.fromkeys(str(text) for split, text in rows if split != "train"))
    return [texts[row] for row in np.random.default_rng(seed).permutation(len(texts)).tolist()]


def of_about(words: int, texts: Sequence[str], count: int) -> list[str]:
    """The texts whose lengths come nearest to a number of words."""
    return sorted(texts, key=lambda text: abs(len(text.split()) - words))[:count]


def wikitext_sentences(path: Path) -> Iterator[str]:
    """Sentences of 4 to 40 words without ``<unk>``, of a file in WikiText's convention."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if is_heading(line):
            continue
        for sentence in _SENTENCE_END.split(normalize(line)):
            if "<unk>" not in sentence and WORDS[0] <= len(sentence.split()) <= WORDS[1]:
                yield sentence


def noisy(vectors: torch.Tensor, seed: int, cosine: float) -> torch.Tensor:
    """Vectors at a cosine with the given ones. Shape: (B, D)."""
    return add_noise(vectors, torch.full((len(vectors),), cosine), torch.Generator().manual_seed(seed))


def timed(run: Callable[[], object]) -> float:
    """Seconds of a run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_bytes() -> int:
    """Largest resident memory of this process (Linux). ``getrusage`` would count its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
