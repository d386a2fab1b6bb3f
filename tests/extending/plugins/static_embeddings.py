"""A sentence encoder: static token embeddings, averaged; distilled from a transformer without training.

The vector of a text is the mean of its tokens' vectors, which are the transformer's input embeddings with their
common mean taken out (compare SIF, Arora, Liang & Ma 2017; model2vec). No layer is computed, and word order is
nothing to it.

Usage: ``python static_embeddings.py FOLDER`` distils ``backbone.model`` of params.yaml into FOLDER; then
``backbone.model: static:FOLDER``.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer

from lexivert import artifacts
from lexivert.config import BackboneParams, load_params
from lexivert.encoders.base import ENCODERS, FloatArray, load_encoder
from lexivert.encoders.huggingface import HuggingFaceEncoder
from lexivert.errors import LexivertError

TOKENIZER, VECTORS = "tokenizer.json", "vectors.safetensors"


class StaticEncoder:
    """Mean of token vectors.

    Args:
        tokenizer: of the vectors.
        vectors: one a token. Shape: (tokens, S).
    """

    def __init__(self, tokenizer: Tokenizer, vectors: FloatArray) -> None:
        self.tokenizer = tokenizer
        self.vectors = vectors

    @property
    def width(self) -> int:
        """Width of an embedding, S."""
        return int(self.vectors.shape[1])

    def encode(self, texts: Sequence[str], *, progress: str = "") -> FloatArray:
        """Embeddings; of a text without tokens that of the first token. Shape: (B, S)."""
        found = np.empty((len(texts), self.width), dtype=np.float32)
        for row, encoding in enumerate(self.tokenizer.encode_batch(list(texts), add_special_tokens=False)):
            found[row] = self.vectors[encoding.ids or [0]].mean(axis=0)
        return found

    def fingerprint(self) -> str:
        """Hash of tokeniser and vectors."""
        digest = hashlib.blake2b(self.tokenizer.to_str().encode(), digest_size=16)
        digest.update(np.ascontiguousarray(self.vectors).data)
        return digest.hexdigest()

    def save(self, folder: Path) -> None:
        """Write what ``load_static`` reads; the folder is replaced if it is there."""
        with artifacts.atomic_path(folder) as temporary:
            temporary.mkdir()
            (temporary / TOKENIZER).write_text(self.tokenizer.to_str(), encoding="utf-8")
            save_file({"vectors": self.vectors}, temporary / VECTORS)


@ENCODERS.register("static", label="static embeddings")
def load_static(params: BackboneParams) -> StaticEncoder:
    """Read the folder that stands behind the colon in ``backbone.model``.

    Raises:
        MissingArtifactError: it is not there.
    """
    folder = artifacts.require(Path(params.model))
    tokenizer = Tokenizer.from_file(str(artifacts.require(folder / TOKENIZER)))
    return StaticEncoder(tokenizer, load_file(artifacts.require(folder / VECTORS))["vectors"])


def distil(params: BackboneParams) -> StaticEncoder:
    """Take the static embeddings of a transformer, without training.

    Args:
        params: the transformer.

    Raises:
        LexivertError: the backbone is no transformer.
    """
    teacher = load_encoder(params)
    if not isinstance(teacher, HuggingFaceEncoder):
        raise LexivertError(f"backbone.model {params.model!r} has no token embeddings to distil")
    with torch.no_grad():
        vectors = teacher.model.get_input_embeddings().weight.float().cpu().numpy()
    tokenizer = Tokenizer.from_str(teacher.tokenizer.backend_tokenizer.to_str())
    return StaticEncoder(tokenizer, vectors - vectors.mean(axis=0))


if __name__ == "__main__":
    distil(load_params().backbone).save(Path(sys.argv[1]))
