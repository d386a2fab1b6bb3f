"""The controller: a decoding algorithm with calibrated confidences."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from lexivert.codes.codebook import Codebook
from lexivert.controller.base import DecodingAlgorithm, Parts
from lexivert.controller.confidence import Calibration, text_features
from lexivert.controller.energy_split import EnergySplit
from lexivert.controller.language_search import LanguageSearch
from lexivert.controller.observation import Observation
from lexivert.controller.registry import DECODERS
from lexivert.controller.replacement import Replacement
from lexivert.controller.results import DecodeResult
from lexivert.controller.trace import replay
from lexivert.controller.verification import second_eos_score
from lexivert.errors import LexivertError
from lexivert.text.banned import Banned

Effort = Literal["draft", "normal", "high"]
DRAFT: Effort = "draft"
EFFORTS: tuple[Effort, ...] = get_args(Effort)
"""How far reading goes: the algorithm alone; a search with the language model where it is not sure; a long one."""


class Controller:
    """Reads vectors back and says how sure each reading is.

    Args:
        parts: codebook, index, prior, and rules, which name the algorithm.
        calibration: of the confidences; scores are taken as they are if None.
        banned: what no text may contain.
        search: for texts that the algorithm has not read for sure, if there is any.

    Raises:
        LexivertError: ``controller.algorithm`` is not registered.
    """

    def __init__(
        self,
        parts: Parts,
        calibration: Calibration | None = None,
        banned: Banned | None = None,
        search: LanguageSearch | None = None,
    ) -> None:
        self.parts = parts
        self.banned = banned
        self.search = search
        self.replacement = Replacement(parts, banned) if banned else None
        self.calibration = calibration or Calibration.none()
        self.algorithm: DecodingAlgorithm = DECODERS.make(parts.params.algorithm)(parts)

    @property
    def codebook(self) -> Codebook:
        """Codes, unigram prior and binding."""
        return self.parts.codebook

    def with_parts(self, parts: Parts) -> Controller:
        """The same controller with other parts."""
        search = None if self.search is None else self.search.with_parts(parts)
        return Controller(parts, self.calibration, self.banned, search)

    def without(self, banned: Banned) -> Controller:
        """The same controller for texts without some words and phrases."""
        return Controller(self.parts, self.calibration, banned, self.search)

    def to(self, device: torch.device | str) -> Controller:
        """The same controller on a device."""
        return self.with_parts(self.parts.to(device))

    @torch.inference_mode()
    def decode(
        self, observed: Observation, *, trace: bool = False, effort: Effort = DRAFT, max_seconds: float | None = None
    ) -> DecodeResult:
        """Read texts back, with confidences; see ``DecodingAlgorithm``.

        Args:
            observed: B vectors.
            trace: record the rebuild, if the algorithm has one.
            effort: one of ``EFFORTS``; from ``normal`` on, texts that are not sure are searched for.
            max_seconds: after which the search of a text begins nothing new; that of the params if None.

        Raises:
            LexivertError: there is no language model for the effort.
        """
        found = self.algorithm.decode(observed, trace=trace)
        features = self._features(found, observed)
        confidence, scores = self.calibration(features, found.scores, found.verified)
        found = replace(found, scores=scores, confidence=confidence, features=features)
        if effort != DRAFT:
            found = self._searched(found, observed, effort, max_seconds, trace=trace)
        return found if self.replacement is None else self.replacement(found, observed)

    def _features(self, found: DecodeResult, observed: Observation) -> npt.NDArray[np.float64]:
        """What tells right texts from wrong ones. Shape: (B, FEATURES)."""
        total = self.codebook.superpose(found.units)
        second_eos = second_eos_score(observed.order, total, self.codebook.eos_codes)
        noise = EnergySplit.of(observed, self.codebook.semantic_share).explains(found.fit)
        return text_features(found.scores, found.fit, second_eos, noise, self.codebook.width)

    def _searched(
        self, found: DecodeResult, observed: Observation, effort: Effort, max_seconds: float | None, *, trace: bool
    ) -> DecodeResult:
        """The same with texts that are not sure searched with the language model; a verified one stays as it is."""
        if self.search is None:
            raise LexivertError(f"effort is {effort!r}, but this controller has no language model; use {DRAFT!r}")
        rows = self.search.unsure(found)
        if not rows:
            return found
        chosen = observed[torch.tensor(rows, device=observed.order.device)]
        read = [found.units[row] for row in rows]
        better = self.search.decode(read, chosen, self.search.effort(effort, max_seconds))
        better = replace(better, features=self._features(better, chosen))
        if trace:
            texts = enumerate(zip(better.units, better.scores, strict=True))
            steps = [replay(chosen.order[row : row + 1], self.codebook, *text) for row, text in texts]
            better = replace(better, steps=steps)
        return found.replaced(rows, better)

    def decode_all(self, observed: Observation, batch: int, label: str) -> DecodeResult:
        """Read any number of texts back in batches, with a progress bar."""
        parts = []
        with tqdm(total=len(observed), desc=label, unit="text", mininterval=1.0) as bar:
            for start in range(0, max(len(observed), 1), batch):
                some = observed[slice(start, start + batch)]
                parts.append(self.decode(some))
                bar.update(len(some))
        return DecodeResult.joined(parts)
