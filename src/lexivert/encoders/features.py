"""Backbone features of all units and sentences, computed once and cached on disk (stage ``features``).

The work is cut into shards that are kept until all is written, so a killed run goes on where it stopped. Batches are
planned before the first one runs and never depend on where a run was killed: the bytes are the same either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lexivert import artifacts
from lexivert.encoders.base import FloatArray, SentenceEncoder, TokenEncoder
from lexivert.encoders.batching import IntArray, Tokens, deduplicate, plan_batches
from lexivert.encoders.huggingface import progress_bar
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.text.lexicon import Lexicon

HalfArray = npt.NDArray[np.float16]
BATCHES_PER_SHARD = 64
"""Work lost to a kill, at most: with 2048 tokens a batch, half a minute on two cores."""


@dataclass(frozen=True)
class TextCounts:
    """What a list of texts was to the backbone.

    Attributes:
        lengths: word pieces of each text, special ones included. Shape: (B,)
        distinct: different texts, which are those that were run.
        truncated: different texts cut to ``backbone.max_tokens``.
    """

    lengths: IntArray
    distinct: int
    truncated: int

    def metrics(self) -> dict[str, int]:
        """Counts as a metrics dict; ``tokens`` counts repeated texts as often as they occur."""
        return {
            "count": len(self.lengths),
            "distinct": self.distinct,
            "tokens": int(self.lengths.sum()),
            "truncated": self.truncated,
        }


def choose_sentences(splits: Sequence[str], sources: Sequence[str], max_train: int, seed: int) -> IntArray:
    """Corpus rows to encode: all of valid and test, and ``max_train`` training rows drawn at random (0: all).

    Small sources give a larger share of theirs, see ``quotas``.

    Args:
        splits: of each row.
        sources: of each row.
        max_train: training rows wanted.
        seed: of the draw.

    Returns:
        Row numbers, ascending. Shape: (S,)
    """
    names, origins = np.asarray(splits), np.asarray(sources)
    rows = np.flatnonzero(names == "train")
    if 0 < max_train < len(rows):
        rng = np.random.default_rng(seed)
        by_source = [rows[origins[rows] == source] for source in sorted(set(origins[rows].tolist()))]
        wanted = quotas([len(own) for own in by_source], max_train)
        drawn = [rng.choice(own, size=count, replace=False) for own, count in zip(by_source, wanted, strict=True)]
        rows = np.concatenate(drawn)
    return np.sort(np.concatenate([rows, np.flatnonzero(names != "train")]))


def quotas(sizes: Sequence[int], total: int) -> list[int]:
    """Share out a sample over sources by the square roots of their sizes, none more than it has.

    So a source that is a hundred times smaller still gives a tenth of what the large one gives (compare the sampling
    of languages in Conneau & Lample 2019).

    Args:
        sizes: rows of each source.
        total: rows wanted, at most the sum of ``sizes``.
    """
    left, found = total, [0] * len(sizes)
    weight = sum(size**0.5 for size in sizes)
    for place in sorted(
        range(len(sizes)), key=lambda place: sizes[place]
    ):  # small ones may leave something to others
        found[place] = min(sizes[place], round(left * sizes[place] ** 0.5 / weight)) if weight else 0
        left -= found[place]
        weight -= sizes[place] ** 0.5
    return found


def write_features(
    path: Path, backbone: SentenceEncoder, texts: Sequence[str], checkpoints: Path, tokens_per_batch: int
) -> TextCounts:
    """Write the features of ``texts`` as a float16 (B, H) array to ``path``, going on from a killed run's shards.

    Shards lie in ``checkpoints/<fingerprint of backbone and texts>`` and stay there: the caller removes them.

    Raises:
        LexivertError: the backbone gives a feature beyond float16's range.
    """
    distinct, inverse = deduplicate(texts)
    folder = checkpoints / _fingerprint(backbone, distinct, tokens_per_batch)
    tokens, run = _batched(backbone, distinct)
    batches = plan_batches(tokens.lengths, tokens_per_batch)
    shards = [batches[start : start + BATCHES_PER_SHARD] for start in range(0, len(batches), BATCHES_PER_SHARD)]
    features = np.empty((len(distinct), backbone.width), dtype=np.float16)
    with progress_bar(path.stem, int(tokens.lengths.sum())) as bar:
        for number, shard in enumerate(shards):
            features[np.concatenate(shard)] = _shard(
                folder / f"{number:06d}.npy", backbone.width, tokens, run, shard, bar
            )
    artifacts.write_array(path, features[inverse])
    return TextCounts(tokens.lengths[inverse], len(distinct), tokens.truncated)


def _batched(backbone: SentenceEncoder, texts: list[str]) -> tuple[Tokens, Callable[[IntArray], FloatArray]]:
    """Lengths by which batches are planned, and what runs a batch; words count where an encoder shows no tokens."""
    if isinstance(backbone, TokenEncoder):
        tokens, encoder = backbone.tokenize(texts), backbone
        return tokens, lambda rows: encoder.features(tokens, rows)
    words = [max(len(text.split()), 1) for text in texts]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(words, dtype=np.int64)])
    counted = Tokens(np.zeros(int(starts[-1]), np.int32), starts, truncated=0)
    return counted, lambda rows: backbone.encode([texts[row] for row in rows.tolist()])


def _fingerprint(backbone: SentenceEncoder, texts: Sequence[str], tokens_per_batch: int) -> str:
    run_as = f"{getattr(backbone, 'device', '')} {getattr(backbone, 'dtype', '')}"  # decides a feature's last bits
    digest = hashlib.sha256(f"{backbone.fingerprint()} {run_as} {tokens_per_batch} {BATCHES_PER_SHARD}".encode())
    for text in texts:
        encoded = text.encode()
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()[:32]


def _shard(
    path: Path,
    width: int,
    tokens: Tokens,
    run: Callable[[IntArray], FloatArray],
    batches: Sequence[IntArray],
    bar: Any,
) -> HalfArray:
    """Features of the texts of ``batches``, in their order, from ``path`` or else computed and put there."""
    size = sum(len(rows) for rows in batches)
    saved = _saved(path, (size, width))
    if saved is not None:
        done = int(tokens.lengths[np.concatenate(batches)].sum())
        bar.initial += done  # counts as done, but not into the rate
        bar.update(done)
        return saved
    parts = []
    for rows in batches:
        with np.errstate(over="ignore"):  # looked for below
            parts.append(run(rows).astype(np.float16))
        bar.update(int(tokens.lengths[rows].sum()))
    features = np.concatenate(parts)
    if not np.isfinite(features).all():
        raise LexivertError("the backbone gives features that are not finite in float16; try backbone.dtype float32")
    artifacts.write_array(path, features)
    return features


def _saved(path: Path, shape: tuple[int, int]) -> HalfArray | None:
    """A shard of an earlier run, or None if it is missing or damaged and so has to be computed again."""
    if not path.exists():
        return None
    try:
        saved = artifacts.read_array(path)
    except DamagedArtifactError:
        return None
    return saved if saved.shape == shape and saved.dtype == np.float16 else None


def tokens_by_kind(lexicon: Lexicon, lengths: IntArray) -> Mapping[str, int]:
    """Word pieces of the units of each kind. Shape: lengths (V,)."""
    kinds = np.asarray(lexicon.kinds)
    return {str(kind): int(lengths[kinds == kind].sum()) for kind in np.unique(kinds)}
