"""Lexivert as a sentence-transformers module: the whole vector as an ordinary sentence embedding.

An exported folder holds no weights, only where the project's models lie, relative to itself. It loads with
``SentenceTransformer(folder, trust_remote_code=True)`` wherever Lexivert is installed: since release 6
sentence-transformers asks for this flag for every class outside itself, installed ones too. Without the flag, build
the model from the module: ``SentenceTransformer(modules=[LexivertModule(root)])``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule

from lexivert.codes.encoder import Encoder


class LexivertModule(InputModule):  # type: ignore[misc]  # sentence-transformers is untyped to mypy
    """Text to the full vector, as the only module of a ``SentenceTransformer``.

    Args:
        root: the project folder that holds ``models/``.
    """

    save_in_root = False

    def __init__(self, root: str | Path) -> None:
        super().__init__()
        self.root = Path(root).resolve()
        self.encoder = Encoder.load(self.root)

    def preprocess(self, inputs: Sequence[str], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        """Pass texts on; the encoder segments them itself."""
        return {"texts": [(prompt or "") + text for text in inputs]}

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add ``sentence_embedding``. Shape: (B, D) float32."""
        vectors = torch.from_numpy(self.encoder.encode(features["texts"]))
        return {**features, "sentence_embedding": vectors}

    def get_embedding_dimension(self) -> int:
        """Width of the vector, D."""
        return int(self.encoder.embed_dim)

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Write ``config.json``: where the project folder lies, seen from ``output_path``."""
        self._saved_root = os.path.relpath(self.root, Path(output_path).resolve())
        self.save_config(output_path)

    def get_config_dict(self) -> dict[str, Any]:
        """What ``save`` writes."""
        return {"root": getattr(self, "_saved_root", str(self.root))}

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **_: Any) -> Self:
        """Read a folder that ``save`` wrote."""
        root = cls.load_config(model_name_or_path, subfolder=subfolder)["root"]
        return cls(Path(model_name_or_path) / subfolder / root)


def export(root: Path, folder: Path) -> None:
    """Write ``folder`` so that sentence-transformers loads it; it must keep its place relative to ``root``."""
    SentenceTransformer(modules=[LexivertModule(root)], device="cpu").save(str(folder), create_model_card=False)
