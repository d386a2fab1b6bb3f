"""Text to vector: segment, look up unit codes, superpose, and put the semantic prefix in front."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.bindings import Binding, binding_of
from lexivert.codes.superposition import join_parts, superpose
from lexivert.config import ModelConfig
from lexivert.encoders.base import SentenceEncoder, load_encoder
from lexivert.errors import DamagedArtifactError
from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter
from lexivert.text.tokenizer import normalize

_TEXTS_AT_ONCE = 256


class Encoder:
    """Writes texts as vectors that can be read back.

    Args:
        config: numbers the codes were made with.
        backbone: frozen sentence encoder.
        segmenter: text to units.
        codes: unit codes. Shape: (V, O) float16.
    """

    def __init__(self, config: ModelConfig, backbone: SentenceEncoder, segmenter: Segmenter, codes: Tensor) -> None:
        self.config = config
        self.backbone = backbone
        self.segmenter = segmenter
        self.codes = codes
        self.binding: Binding = binding_of(config)

    @classmethod
    def load(cls, root: Path | str = ".") -> Encoder:
        """Load from a project folder after ``dvc repro index``.

        Raises:
            LexivertError: an artifact is missing or damaged, or the backbone can't be loaded.
        """
        paths = Paths(Path(root))
        config = ModelConfig.load(artifacts.require(paths.index))
        lexicon = Lexicon.load(paths.vocab)
        codes = artifacts.read_array(paths.index / artifacts.UNIT_CODES)
        if codes.shape != (len(lexicon), config.order_width):
            message = f"{paths.index} holds codes of shape {codes.shape} for {len(lexicon)} units; run `dvc repro`"
            raise DamagedArtifactError(message)
        return cls(config, load_encoder(config.backbone), Segmenter(lexicon), torch.from_numpy(codes))

    @property
    def embed_dim(self) -> int:
        """Width of a vector, D."""
        return self.config.code.embed_dim

    def segment(self, texts: Sequence[str]) -> list[list[int]]:
        """Write texts in units.

        Raises:
            ValueError: a text holds lone surrogates, or more units than a vector is made for.
        """
        limit = self.config.code.max_units
        segmented = []
        most = limit * self.segmenter.most_characters
        for number, text in enumerate(texts):
            if len(text) > most and len(normalize(text)) > most:  # segmenting a whole book only to count takes long
                raise ValueError(
                    f"text {number} has {len(normalize(text))} characters, far too many for the {limit} units that a "
                    "vector holds at most: split the text"
                )
            units = self.segmenter.segment(text)
            if len(units) > limit:
                raise ValueError(
                    f"text {number} has {len(units)} units; a vector holds at most {limit}: split the text"
                )
            segmented.append(units)
        return segmented

    def compose(self, units: Sequence[Sequence[int]], semantic: Tensor) -> Tensor:
        """Vectors from units and backbone embeddings. Shape: semantic (B, S), result (B, D)."""
        return join_parts(semantic, superpose(units, self.codes, self.binding), self.config.code.semantic_share)

    def encode(self, texts: Sequence[str], *, progress: str = "") -> npt.NDArray[np.float32]:
        """Vectors of texts.

        Args:
            texts: B strings; read as ``normalize`` leaves them, empty ones included.
            progress: label of a progress bar; empty for no bar.

        Shape: (B, D), unit length.

        Raises:
            ValueError: see ``segment``.
        """
        texts = [normalize(text) for text in texts]
        units = self.segment(texts)
        semantic = torch.from_numpy(self.backbone.encode(texts, progress=progress))
        vectors = np.empty((len(texts), self.embed_dim), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = slice(start, start + _TEXTS_AT_ONCE)
            vectors[part] = self.compose(units[part], semantic[part]).numpy()
        return vectors
