"""The controller: a decoding algorithm with calibrated confidences."""

from __future__ import annotations

from dataclasses import replace

import torch
from tqdm import tqdm

from lexivert.codes.codebook import Codebook
from lexivert.codes.superposition import superpose
from lexivert.controller.base import DecodingAlgorithm, Parts
from lexivert.controller.confidence import Calibration, text_features
from lexivert.controller.noise import explained
from lexivert.controller.observation import Observation
from lexivert.controller.registry import DECODERS
from lexivert.controller.replacement import Replacement
from lexivert.controller.results import DecodeResult
from lexivert.controller.verification import second_eos_score
from lexivert.text.banned import Banned


class Controller:
    """Reads vectors back and says how sure each reading is.

    Args:
        parts: codebook, index, prior, and rules, which name the algorithm.
        calibration: of the confidences; scores are taken as they are if None.
        banned: what no text may contain.

    Raises:
        LexivertError: ``controller.algorithm`` is not registered.
    """

    def __init__(self, parts: Parts, calibration: Calibration | None = None, banned: Banned | None = None) -> None:
        self.parts = parts
        self.banned = banned
        self.replacement = Replacement(parts, banned) if banned else None
        self.calibration = calibration or Calibration.none()
        self.algorithm: DecodingAlgorithm = DECODERS.make(parts.params.algorithm)(parts)

    @property
    def codebook(self) -> Codebook:
        """Codes, unigram prior and binding."""
        return self.parts.codebook

    def with_parts(self, parts: Parts) -> Controller:
        """The same controller with other parts."""
        return Controller(parts, self.calibration, self.banned)

    def without(self, banned: Banned) -> Controller:
        """The same controller for texts without some words and phrases."""
        return Controller(self.parts, self.calibration, banned)

    def to(self, device: torch.device | str) -> Controller:
        """The same controller on a device."""
        return self.with_parts(self.parts.to(device))

    @torch.inference_mode()
    def decode(self, observed: Observation, *, trace: bool = False) -> DecodeResult:
        """Read texts back, with confidences; see ``DecodingAlgorithm``."""
        found = self.algorithm.decode(observed, trace=trace)
        total = superpose(found.units, self.codebook.codes, self.codebook.binding)
        second_eos = second_eos_score(observed.order, total, self.codebook.eos_codes)
        noise = explained(observed, found.fit, self.codebook.semantic_share)
        features = text_features(found.scores, found.fit, second_eos, noise, self.codebook.width)
        confidence, scores = self.calibration(features, found.scores, found.verified)
        found = replace(found, scores=scores, confidence=confidence, features=features)
        return found if self.replacement is None else self.replacement(found, observed)

    def decode_all(self, observed: Observation, batch: int, label: str) -> DecodeResult:
        """Read any number of texts back in batches, with a progress bar."""
        parts = []
        with tqdm(total=len(observed), desc=label, unit="text", mininterval=1.0) as bar:
            for start in range(0, max(len(observed), 1), batch):
                some = observed[slice(start, start + batch)]
                parts.append(self.decode(some))
                bar.update(len(some))
        return DecodeResult.joined(parts)
