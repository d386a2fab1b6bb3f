"""The lexicon: the vocabulary of units with kinds, counts and unigram prior, and its reserved units."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lexivert import artifacts
from lexivert.errors import DamagedArtifactError

CONTROL = ("<end>", "<join>", "<space>", "<cap>", "<upper>", "<wikitext>")
"""Control units, in the order of their ids."""
EOS, JOIN, SPACE, CAP, UPPER, WIKITEXT = range(len(CONTROL))
FIRST_BYTE = len(CONTROL)
"""Unit id of byte 0; byte b is unit FIRST_BYTE + b."""
BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
RESERVED = CONTROL + BYTES
_BYTE_MARK = "<0x"
NEVER = -1.0e6
"""Log probability of what is ruled out: finite, so that products with 0 stay 0."""

COUNTED_KINDS = ("word", "cased", "entity", "ngram", "number", "numeric", "anomalous", "punctuation")

SCHEMA = pa.schema(
    [
        ("unit_id", pa.int32()),
        ("surface", pa.string()),
        ("kind", pa.string()),
        ("count", pa.int64()),
        ("rank", pa.int32()),
        ("usage", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Lexicon:
    """All units; a unit's id is its row.

    Attributes:
        surfaces: V strings, unique.
        kinds: V names: control, byte (one or several), piece, foreign or one of ``COUNTED_KINDS``.
        counts: (V,) occurrences in the training split, overlapping phrases included.
        usage: (V,) occurrences in the segmented training split (what a decoder meets), with those expected of words
            from frequency lists (``languages``).
        id_of: surface to unit id.
    """

    surfaces: tuple[str, ...]
    kinds: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    usage: npt.NDArray[np.int64]
    id_of: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.surfaces[: len(RESERVED)] != RESERVED:
            raise DamagedArtifactError("the vocabulary does not begin with the reserved units; run `dvc repro vocab`")
        object.__setattr__(self, "id_of", {surface: unit for unit, surface in enumerate(self.surfaces)})
        if len(self.id_of) != len(self.surfaces):
            raise DamagedArtifactError("the vocabulary has a surface twice; run `dvc repro vocab`")

    def __len__(self) -> int:
        return len(self.surfaces)

    @cached_property
    def bytes_of(self) -> dict[int, bytes]:
        """Units that write bytes, and which: the reserved ones, and the byte strings ``languages`` has learned."""
        marked = ((unit, surface) for unit, surface in enumerate(self.surfaces) if surface.startswith(_BYTE_MARK))
        return {unit: bytes.fromhex(surface[len(_BYTE_MARK) : -1]) for unit, surface in marked}

    def log_prior(self) -> npt.NDArray[np.float32]:
        """Log unigram probability of each unit in segmented text, add-one smoothed. Shape: (V,)."""
        smoothed = self.usage.astype(np.float64) + 1.0
        prior: npt.NDArray[np.float32] = np.log(smoothed / smoothed.sum()).astype(np.float32)
        return prior

    def save(self, path: Path) -> None:
        """Write ``vocab.parquet``."""
        order = np.argsort(-self.counts, kind="stable")
        rank = np.empty(len(self), dtype=np.int32)
        rank[order] = np.arange(len(self), dtype=np.int32)
        columns: dict[str, Any] = {
            "unit_id": np.arange(len(self), dtype=np.int32),
            "surface": list(self.surfaces),
            "kind": list(self.kinds),
            "count": self.counts,
            "rank": rank,
            "usage": self.usage,
        }
        artifacts.write_parquet(path, columns, SCHEMA)

    @classmethod
    def load(cls, path: Path) -> Lexicon:
        """Read ``vocab.parquet``.

        Raises:
            MissingArtifactError, DamagedArtifactError: see ``artifacts.read_parquet``.
        """
        table = artifacts.read_parquet(path, ["unit_id", "surface", "kind", "count", "usage"])
        return cls(
            surfaces=tuple(table["surface"].to_pylist()),
            kinds=tuple(table["kind"].to_pylist()),
            counts=artifacts.numbers(path, table, "count"),
            usage=artifacts.numbers(path, table, "usage"),
        )


def byte_surface(string: bytes) -> str:
    """Surface of the unit that writes some bytes: ``<0xE4B8>``."""
    return f"{_BYTE_MARK}{string.hex().upper()}>"


def unit_text(surface: str, kind: str) -> str:
    """What the backbone reads for a unit: its letters, or a name for what has none.

    A continuation piece "##arus" is read as "arus", "<end>" as "end", byte 0x41 as "A" and byte 0x0A as "byte 0x0A",
    bytes 0xE4 0xB8 as "byte 0xE4B8".
    """
    if kind == "control":
        return surface.strip("<>")
    if kind == "byte":
        value = int(surface[1:-1], 16)
        return chr(value) if 0x21 <= value <= 0x7E else f"byte 0x{value:02X}"
    if kind == "piece":
        return surface.removeprefix("##")
    return surface
