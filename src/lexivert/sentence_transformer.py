"""Lexivert as a sentence-transformers module: the full vector as an ordinary sentence embedding.

An exported folder holds the model itself (see ``controller.model_folder``) and may be moved or put on the hub; its
module's folder is one that ``Lexivert.from_pretrained`` reads, too. It loads with
``SentenceTransformer(folder, trust_remote_code=True)`` wherever Lexivert is installed: since release 6
sentence-transformers asks for this flag for every class outside itself, installed ones too. Without the flag, build
the model from the module: ``SentenceTransformer(modules=[LexivertModule(folder)])``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import InputModule

from lexivert import arguments
from lexivert.codes.encoder import Encoder
from lexivert.controller import model_folder
from lexivert.errors import LexivertError, RowError, TooLongError
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

        Raises:
            RowError: a text is no string, or can't be encoded; its row is that in what ``encode`` was given.
        """
        texts, units = [], []
        for place, text in enumerate(inputs):
            try:
                arguments.refuse_table("text", text)
                written = self.encoder.written((prompt or "") + arguments.check_text(text))
            except TooLongError as error:
                raise RowError("text", _given_row(text, place), f"{error}: split the text") from error
            except ValueError as error:
                reason = str(error).removeprefix("text ")
                raise RowError("text", _given_row(text, place), reason) from error
            texts.append(written[0])
            units.append(written[1])
        return {"texts": texts, "units": units}

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


def _given_row(text: Any, place: int) -> int:
    """Row of a text in what ``SentenceTransformer.encode`` was given, where this module is called from there.

    sentence-transformers sorts texts by length and passes them on in batches, without their rows. So the list is
    looked up in the running call; called in another way, the place in the batch is the row.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        given = frame.f_locals.get("inputs")
        if frame.f_code.co_name == "encode" and isinstance(frame.f_locals.get("self"), SentenceTransformer):
            rows = (row for row, own in enumerate(given) if own is text) if isinstance(given, list) else iter(())
            return next(rows, place)
        frame = frame.f_back
    return place


def export(source: Path, folder: Path) -> None:
    """Write ``folder`` so that sentence-transformers loads it, from a model folder or a project folder."""
    SentenceTransformer(modules=[LexivertModule(source)], device="cpu").save(str(folder), create_model_card=False)
