"""The total score of complete texts for one vector: exact evidence of both its parts, plus a language model's prior.

Noise of unknown scale and variance makes a text whose vector has cosine c with the given one likely by
``-D/2 log(1 - c²)``, the profile likelihood of D dimensions. Order part and semantic prefix are weighed so each by
itself, since their noise may differ; the prefix's is asked by embedding the text, which few texts are worth. With the
language model's log probability this is the log posterior of the text up to a constant. A text that segmentation
would write in other units can't have made the vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.codebook import Codebook
from lexivert.codes.encoder import Encoder
from lexivert.config import LanguageSearchParams
from lexivert.controller.noise import prefix_cosine
from lexivert.controller.observation import Observation
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.text.lexicon import WIKITEXT

_LEAST_UNEXPLAINED = 1.0e-6  # share of energy; rounding to half floats leaves as much
_LEAST_COSINE = 0.05  # below, no signal is left
_AT_ONCE = 128  # texts whose vectors are made at once


def log_likelihood(cosine: Tensor, width: int) -> Tensor:
    """Profile log likelihood of Gaussian noise of unknown variance, scale unknown; of a negative cosine that of 0."""
    unexplained = 1.0 - cosine.clamp_min(0.0).square()
    return -0.5 * width * unexplained.clamp_min(_LEAST_UNEXPLAINED).log()


@dataclass
class TotalScore:
    """Scores texts of one vector; what was embedded or read once is kept.

    Args:
        observed: one vector.
        codebook: codes and binding.
        encoder: writes texts and embeds them.
        language_model: prior over texts.
        params: weights.
    """

    observed: Observation
    codebook: Codebook
    encoder: Encoder
    language_model: CausalLanguageModel
    params: LanguageSearchParams
    known: dict[tuple[int, ...], float] = field(default_factory=dict)
    """Total score of every text that was scored in full."""
    _cosines: dict[tuple[int, ...], float] = field(default_factory=dict)

    def __call__(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Total scores. Shape: (B,)."""
        new = [text for text in dict.fromkeys(map(tuple, texts)) if text not in self.known]
        if new:
            written = [self.text(text) for text in new]
            prior = self.language_model.log_probability([self.prose(text) for text in new]).to(self.codebook.device)
            cost = [float(self._segmented(own) != list(text)) for text, own in zip(new, written, strict=True)]
            total = self.order_evidence(new) + self.prefix_evidence(new) + self.params.language_weight * prior
            total -= self.params.segmentation_cost * torch.tensor(cost, device=total.device)
            self.known.update(zip(new, total.tolist(), strict=True))
        return torch.tensor([self.known[tuple(text)] for text in texts], device=self.codebook.device)

    def order_evidence(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Log likelihood of the order part. Shape: (B,)."""
        cosines = []
        for start in range(0, len(texts), _AT_ONCE):
            total = self.codebook.superpose(texts[start : start + _AT_ONCE])
            cosines.append(F.normalize(total, dim=1) @ self.observed.order[0])
        found = torch.cat(cosines) if cosines else self.observed.order.new_zeros(0)
        return log_likelihood(found, self.codebook.width)

    def prefix_evidence(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Weighted log likelihood of the semantic prefix, 0 where the vector has none. Shape: (B,)."""
        prefix = self.observed.prefix[0]
        if not bool(prefix.any()):
            return prefix.new_zeros(len(texts))
        return self.params.prefix_weight * log_likelihood(self._prefix_cosines(texts), len(prefix))

    def prefix_noise(self, text: Sequence[int]) -> float:
        """How much noisier a text leaves the prefix than the order part, if all dimensions have the same noise.

        In standard deviations of the logarithm of their ratio: about standard normal for the right text; a wrong one
        has another embedding, which looks like noise. 0 where the vector has no prefix.
        """
        order, prefix = self.observed.order, self.observed.prefix[0]
        if not bool(prefix.any()):
            return 0.0
        total = self.codebook.superpose([text])
        fits = (F.normalize(total, dim=1) @ order[0]).clamp(_LEAST_COSINE, 1.0 - _LEAST_UNEXPLAINED)
        expected = prefix_cosine(fits, order.shape[1], len(prefix), self.codebook.semantic_share)
        ratio = _log_noise(self._prefix_cosines([text])) - _log_noise(expected)
        return float(ratio) / math.sqrt(2.0 / len(prefix) + 2.0 / order.shape[1])

    def _prefix_cosines(self, texts: Sequence[Sequence[int]]) -> Tensor:
        """Cosines of texts' embeddings with the semantic prefix; each text is embedded once. Shape: (B,)."""
        prefix = self.observed.prefix[0]
        new = [text for text in dict.fromkeys(map(tuple, texts)) if text not in self._cosines]
        if new:
            features = torch.from_numpy(self.encoder.backbone.encode([self.text(text) for text in new]))
            cosines = F.normalize(features.to(prefix.device), dim=1) @ prefix
            self._cosines.update(zip(new, cosines.tolist(), strict=True))
        return torch.tensor([self._cosines[tuple(text)] for text in texts], device=prefix.device)

    def text(self, units: Sequence[int]) -> str:
        """Units as a text."""
        return self.encoder.segmenter.join(units)

    def prose(self, units: Sequence[int]) -> str:
        """The text in ordinary spacing, as the language model knows texts, whatever notation it has."""
        return self.text(units[1:] if units[:1] in ([WIKITEXT], (WIKITEXT,)) else units)

    def _segmented(self, text: str) -> list[int]:
        return self.encoder.segmenter.segment(text)


def _log_noise(cosine: Tensor) -> Tensor:
    """Logarithm of noise over signal that leave a cosine."""
    squared = cosine.clamp(_LEAST_COSINE, 1.0).square()
    return torch.log((1.0 - squared).clamp_min(_LEAST_UNEXPLAINED) / squared)
