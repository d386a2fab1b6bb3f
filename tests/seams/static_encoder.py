"""A sentence encoder of one's own: the mean of static word embeddings, read from one ``.npz`` file.

Importing this file registers it, so that ``backbone.model: static:vectors.npz`` in params.yaml selects it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lexivert.config import BackboneParams
from lexivert.encoders.base import register_encoder


class StaticEncoder:
    """Sums a vector for every known word; a vector of its own stands for texts without any.

    Args:
        file: arrays ``words`` (W,) and ``vectors`` (W + 1, S), the last row for a text without known words.
    """

    def __init__(self, file: Path) -> None:
        content = np.load(file)
        self.rows = {word: row for row, word in enumerate(content["words"].tolist())}
        self.vectors = content["vectors"].astype(np.float32)
        self.digest = hashlib.sha256(file.read_bytes()).hexdigest()

    @property
    def width(self) -> int:
        """S."""
        return int(self.vectors.shape[1])

    def encode(self, texts: Sequence[str], *, progress: str = "") -> npt.NDArray[np.float32]:
        """Mean vector of each text's known words. Shape: (B, S)."""
        rows = [[self.rows[word] for word in text.lower().split() if word in self.rows] or [-1] for text in texts]
        means = [self.vectors[own].mean(axis=0) for own in rows]
        return np.stack(means) if means else np.empty((0, self.width), np.float32)

    def fingerprint(self) -> str:
        """Of the file."""
        return self.digest


def load(params: BackboneParams) -> StaticEncoder:
    """Build it from section ``backbone``; ``params.model`` is what stands behind ``static:``."""
    return StaticEncoder(Path(params.model))


register_encoder("static", load, "Static word embeddings")
