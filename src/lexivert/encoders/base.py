"""Sentence encoder: texts to dense sentence embeddings, as a protocol, and a registry of implementations by name.

The semantic prefix of a vector is such an embedding. ``backbone.model`` of params.yaml names an encoder:
``name:argument`` is built by the factory that is registered under ``name``; what has no colon is a model in Hugging
Face's format. An encoder of one's own is one class and one function::

    class Mine:
        width = 64
        def encode(self, texts, *, progress=""): ...  # (B, 64) float32
        def fingerprint(self): ...                    # changes whenever a vector does

    @ENCODERS.register("mine", label="My encoder")
    def load_mine(params):
        return Mine(params.model)

after which ``backbone.model: mine:folder`` builds ``Mine("folder")``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from lexivert.config import BackboneParams
from lexivert.encoders.batching import IntArray, Tokens
from lexivert.errors import LexivertError
from lexivert.registry import Registry

FloatArray = npt.NDArray[np.float32]
HUGGING_FACE = "huggingface"
"""Entry that reads what has no other entry's name in front."""


@runtime_checkable
class SentenceEncoder(Protocol):
    """A frozen sentence encoder: the same text always has the same embedding."""

    @property
    def width(self) -> int:
        """Width of an embedding, S."""

    def encode(self, texts: Sequence[str], *, progress: str = "") -> FloatArray:
        """Embeddings of texts, empty ones included, of any finite length above 0.

        Args:
            texts: B strings.
            progress: label of a progress bar; empty for no bar.

        Shape: (B, S) float32.
        """

    def fingerprint(self) -> str:
        """Hash of all that makes it this encoder: weights, tokeniser, pooling; the same on every machine."""


@runtime_checkable
class TokenEncoder(SentenceEncoder, Protocol):
    """An encoder that shows its tokens, so that texts of like length share a batch and no time is lost on padding."""

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        """Tokens of B texts."""

    def features(self, tokens: Tokens, rows: IntArray) -> FloatArray:
        """Embeddings of the texts ``rows``, as one batch. Shape: (b, S) float32."""


@runtime_checkable
class ContextualEncoder(SentenceEncoder, Protocol):
    """An encoder that also has an embedding for a word in its context, as transformers do."""

    def span_features(self, texts: Sequence[str], spans: Sequence[tuple[int, int]]) -> FloatArray:
        """Embeddings of one span of characters of each text; zeros where none of it is read. Shape: (B, S)."""


ENCODERS: Registry[Callable[[BackboneParams], SentenceEncoder]] = Registry("sentence encoder")
"""Factories of encoders, made of section ``backbone``, whose ``model`` then is what stood behind name and colon."""


@ENCODERS.register(HUGGING_FACE, label="Hugging Face transformer")
def load_hugging_face(params: BackboneParams) -> SentenceEncoder:
    """A model in Hugging Face's format: the packaged one, a hub id, or a folder."""
    from lexivert.encoders.huggingface import HuggingFaceEncoder

    return HuggingFaceEncoder.load(params)


def split_name(model: str) -> tuple[str, str]:
    """Name of an entry of ``ENCODERS``, and what it is given: the two sides of the colon of ``backbone.model``.

    What has no colon, or is a file whose name holds one, is given to the entry for Hugging Face's format.
    """
    name, colon, argument = model.partition(":")
    if not colon or (name not in ENCODERS and Path(model).exists()):
        return HUGGING_FACE, model
    return name, argument


def load_encoder(params: BackboneParams) -> SentenceEncoder:
    """Build the encoder that ``backbone.model`` names.

    Raises:
        LexivertError: there is no such encoder or model, or it can't be loaded; an encoder's width is not positive.
    """
    name, argument = split_name(params.model)
    encoder = ENCODERS.make(name)(params.model_copy(update={"model": argument}))
    if encoder.width < 1:
        raise LexivertError(f"backbone.model is {params.model!r}: an encoder of width {encoder.width}")
    return encoder
