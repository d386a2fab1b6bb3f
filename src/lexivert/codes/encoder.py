"""Text to vector: segment, look up unit codes, superpose, and put the semantic prefix in front."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lexivert import artifacts, plugins
from lexivert.artifacts import Paths
from lexivert.codes.bindings import Binding, binding_of
from lexivert.codes.power import eos_scale
from lexivert.codes.superposition import join_parts, superpose
from lexivert.config import ModelConfig
from lexivert.encoders.base import SentenceEncoder
from lexivert.encoders.lazy import LazyEncoder, lazy_encoder
from lexivert.errors import DamagedArtifactError, RowError, TooLongError
from lexivert.text.lexicon import EOS, Lexicon
from lexivert.text.segmentation import Segmenter
from lexivert.text.tokenizer import normalize

_TEXTS_AT_ONCE = 256
_COMPOSED = 4
"""Characters of a text that ``normalize`` may make one of, at most."""


class Encoder:
    """Writes texts as vectors that can be read back.

    Args:
        config: numbers the codes were made with.
        backbone: frozen sentence encoder, or one that is loaded when it is first used.
        segmenter: text to units.
        codes: unit codes. Shape: (V, O) float16.
    """

    def __init__(
        self, config: ModelConfig, backbone: SentenceEncoder | LazyEncoder, segmenter: Segmenter, codes: Tensor
    ) -> None:
        self.config = config
        self._backbone = backbone
        self.segmenter = segmenter
        self.codes = codes
        self.binding: Binding = binding_of(config)

    @classmethod
    def load(cls, root: Path | str = ".", device: str | None = None) -> Encoder:
        """Load from a project folder after ``dvc repro index``, with the plug-ins that its params name.

        Args:
            root: the project folder.
            device: auto, cpu, cuda or mps; what ``backbone.device`` says if None.

        Raises:
            LexivertError: an artifact is missing or damaged, a plug-in fails, or the backbone can't be loaded.
        """
        paths = Paths(Path(root))
        plugins.load_of_project(paths.root)
        config = ModelConfig.load(artifacts.require(paths.index))
        lexicon = Lexicon.load(paths.vocab)
        codes = artifacts.read_array(paths.index / artifacts.UNIT_CODES)
        if codes.shape != (len(lexicon), config.order_width):
            message = f"{paths.index} holds codes of shape {codes.shape} for {len(lexicon)} units; run `dvc repro`"
            raise DamagedArtifactError(message)
        backbone = config.backbone if device is None else config.backbone.model_copy(update={"device": device})
        return cls(config, lazy_encoder(backbone), Segmenter(lexicon), torch.from_numpy(codes))

    @property
    def backbone(self) -> SentenceEncoder:
        """Frozen sentence encoder.

        Raises:
            LexivertError: it was to be loaded now, and can't be.
        """
        return self._backbone.get() if isinstance(self._backbone, LazyEncoder) else self._backbone

    @property
    def embed_dim(self) -> int:
        """Width of a vector, D."""
        return self.config.code.embed_dim

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all that decides a vector: layout, backbone, lexicon, codes. 16 hexadecimal digits.

        Vectors of models with one fingerprint can be read and compared with each other, whatever device, number
        format or folder they come from.
        """
        digest = hashlib.sha256(self.config.model_dump_json(include={"seed", "semantic_width", "code"}).encode())
        digest.update(self._backbone.fingerprint().encode())
        lexicon = self.segmenter.lexicon
        digest.update(repr((lexicon.surfaces, lexicon.kinds)).encode("utf-8", "surrogatepass"))
        digest.update(np.ascontiguousarray(self.codes.cpu().numpy()).data)
        return digest.hexdigest()[:16]

    def written(self, text: str) -> tuple[str, list[int]]:
        """One text as ``normalize`` leaves it, and in units: the one check of a text's length.

        Raises:
            TooLongError: it has more units than a vector holds. A text of far too many characters is refused at once.
            ValueError: see ``normalize``.
        """
        if len(text) > self._most_characters * _COMPOSED:
            self._check_characters(len(" ".join(text.split())), self._most_characters * _COMPOSED)
        normalized = normalize(text)
        return normalized, self.units_of(normalized)

    @property
    def _most_characters(self) -> int:
        return self.config.code.max_units * self.segmenter.most_characters

    def _check_characters(self, count: int, most: int) -> None:
        if count > most:
            limit = self.config.code.max_units
            raise TooLongError(
                f"has {count} characters, far too many for the {limit} units that a vector holds at most"
            )

    def units_of(self, text: str) -> list[int]:
        """Write one text, as ``normalize`` leaves it, in units.

        Raises:
            TooLongError: see ``written``.
        """
        self._check_characters(len(text), self._most_characters)
        limit = self.config.code.max_units
        units = self.segmenter.segment_normalized(text)
        if len(units) > limit:
            raise TooLongError(f"has {len(units)} units; a vector holds at most {limit}")
        return units

    def fits(self, text: str) -> bool:
        """Whether a vector can take a text.

        Raises:
            ValueError: see ``normalize``.
        """
        try:
            self.written(text)
        except TooLongError:
            return False
        return True

    def segment(self, texts: Sequence[str]) -> list[list[int]]:
        """Write texts in units.

        Raises:
            RowError: a text holds lone surrogates, or more units than a vector is made for.
        """
        return self.prepared(texts)[1]

    def prepared(self, texts: Sequence[str]) -> tuple[list[str], list[list[int]]]:
        """Texts as ``normalize`` leaves them, and their units; errors as of ``segment``."""
        normalized, segmented = [], []
        for row, text in enumerate(texts):
            try:
                own, units = self.written(text)
            except TooLongError as error:
                raise RowError("text", row, f"{error}: split the text") from error
            except ValueError as error:
                raise RowError("text", row, str(error).removeprefix("text ")) from error
            normalized.append(own)
            segmented.append(units)
        return normalized, segmented

    def superpose(self, units: Sequence[Sequence[int]]) -> Tensor:
        """Order parts of texts in units, not normalised. Shape: (B, O) float32."""
        return superpose(units, self.codes, self.binding, self.eos_scale)

    @cached_property
    def eos_scale(self) -> Tensor:
        """Factor of EOS's code at every position. Shape: (P,)."""
        return eos_scale(self.codes[EOS], self.config.code.eos_nats, self.binding.positions)

    def compose(self, units: Sequence[Sequence[int]], semantic: Tensor) -> Tensor:
        """Vectors from units and backbone embeddings. Shape: semantic (B, S), result (B, D)."""
        semantic = semantic.to(self.codes.device)
        return join_parts(semantic, self.superpose(units), self.config.code.semantic_share)

    def encode(self, texts: Sequence[str], *, progress: str = "") -> npt.NDArray[np.float32]:
        """Vectors of texts.

        Args:
            texts: B strings; read as ``normalize`` leaves them, empty ones included.
            progress: label of a progress bar; empty for no bar.

        Shape: (B, D), unit length.

        Raises:
            RowError: see ``segment``.
        """
        return self.encode_segmented(*self.prepared(texts), progress=progress)

    def encode_segmented(
        self, texts: Sequence[str], units: Sequence[Sequence[int]], *, progress: str = ""
    ) -> npt.NDArray[np.float32]:
        """Vectors of texts whose units are known.

        Args:
            texts: B strings as ``normalize`` leaves them.
            units: what ``units_of`` makes of each.
            progress: label of a progress bar; empty for no bar.

        Shape: (B, D), unit length.
        """
        semantic = torch.from_numpy(self.backbone.encode(texts, progress=progress))
        vectors = np.empty((len(texts), self.embed_dim), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            part = slice(start, start + _TEXTS_AT_ONCE)
            vectors[part] = self.compose(units[part], semantic[part]).cpu().numpy()
        return vectors
