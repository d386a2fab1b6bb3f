"""Lexivert as a sentence-transformers module: the full vector as an ordinary sentence embedding.

An exported folder holds the model itself (see ``controller.model_folder``) and may be moved or put on the hub; its
module's folder is one that ``Lexivert.from_pretrained`` reads, too. It loads with
``SentenceTransformer(folder, trust_remote_code=True)`` wherever Lexivert is installed: since release 6
sentence-transformers asks for this flag for every class outside itself, installed ones too. Without the flag, build
the model from the module: ``SentenceTransformer(modules=[LexivertModule(folder)])``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule

from lexivert import arguments
from lexivert.codes.encoder import Encoder
from lexivert.controller import model_folder
from lexivert.errors import LexivertError, TooLongError
from lexivert.model import Lexivert


class LexivertModule(InputModule):  # type: ignore[misc]  # sentence-transformers is untyped to mypy
    """Text to the full vector, as the only module of a ``SentenceTransformer``.

    Args:
        folder: a model folder, or a project folder after ``dvc repro``.
        device: auto, cpu, cuda or mps.

    Raises:
        LexivertError: a file is missing or damaged.
    """

    save_in_root = False

    def __init__(self, folder: str | Path, device: str = "auto") -> None:
        super().__init__()
        self.folder = Path(folder).resolve()
        self._is_model = model_folder.is_model_folder(self.folder)
        read = model_folder.read_encoder if self._is_model else Encoder.load
        self.encoder = read(self.folder, device)

    def preprocess(self, inputs: Sequence[str], prompt: str | None = None, **_: Any) -> dict[str, Any]:
        """Pass texts on, each after the prompt; the encoder segments them itself.

        sentence-transformers has sorted the texts by length, and dealt them out to processes, before it calls this,
        so a text that is refused is quoted: its row is not known here.

        Raises:
            ValueError: a text is no string, or can't be encoded.
            TooLongError: a text has too many units.
        """
        segmented = [self._written(text, prompt or "") for text in inputs]
        return {"texts": [text for text, _ in segmented], "units": [units for _, units in segmented]}

    def _written(self, text: Any, prompt: str) -> tuple[str, list[int]]:
        """A text as it is encoded, and its units."""
        arguments.refuse_table("text", text)
        arguments.check_text(text)
        try:
            return self.encoder.written(prompt + text)
        except ValueError as error:
            reason = f"text {reprlib.repr(text)} {str(error).removeprefix('text ')}"
            if isinstance(error, TooLongError):
                raise TooLongError(f"{reason}: split the text") from error
            raise ValueError(reason) from error

    def forward(self, features: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Add ``sentence_embedding``. Shape: (B, D) float32."""
        vectors = torch.from_numpy(self.encoder.encode_segmented(features["texts"], features["units"]))
        return {**features, "sentence_embedding": vectors}

    def get_embedding_dimension(self) -> int:
        """Width of the vector, D."""
        return int(self.encoder.embed_dim)

    def save(self, output_path: str, *_: Any, **__: Any) -> None:
        """Write a model folder that needs nothing else.

        Raises:
            LexivertError: the model that this one was loaded from is gone, or the folder holds something else.
        """
        model = Lexivert.from_pretrained(self.folder) if self._is_model else Lexivert.load(self.folder)
        model.save_pretrained(output_path)

    @classmethod
    def load(cls, model_name_or_path: str, subfolder: str = "", **hub: Any) -> Self:
        """Read what ``save`` wrote, from a folder or the hub.

        Raises:
            LexivertError: it is not there.
        """
        names = ("token", "cache_folder", "revision", "local_files_only")
        options = {name: hub[name] for name in names if name in hub}
        folder = cls.load_dir_path(model_name_or_path, subfolder=subfolder, **options)
        if folder is None:
            raise LexivertError(f"{model_name_or_path} has no folder {subfolder!r}; save the model again")
        return cls(folder)


def export(source: Path, folder: Path) -> None:
    """Write ``folder`` so that sentence-transformers loads it, from a model folder or a project folder."""
    SentenceTransformer(modules=[LexivertModule(source)], device="cpu").save(str(folder), create_model_card=False)
