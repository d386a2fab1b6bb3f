"""Multi-task loss of the token head: contrastive learning, autoencoding, distillation and attraction of synonyms.

One step takes a batch of units to the weighted sum of the losses of ``lexivert.training.losses``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.token_head import TokenHead
from lexivert.config import TokenHeadParams
from lexivert.data.relations import Relations
from lexivert.devices import choose_dtype
from lexivert.training import losses
from lexivert.training.collapse import CollapseAlarm, CollapseRules, spread
from lexivert.training.loop import Progress
from lexivert.training.negatives import CodeQueue, hardest, same_unit
from lexivert.training.schedules import cosine, linear_warmup


@dataclass(frozen=True)
class TrainingUnits:
    """What the token head learns from.

    Attributes:
        features: backbone features, row = unit. Shape: (V, H).
        duplicates: one label for all units that share their features. Shape: (V,) int64.
        kept: units to train on, ascending. Shape: (M,) int64.
        synonyms: attracted pairs.
        never_negative: pairs that must not repel each other: synonyms and inflections.
        antonyms: pairs that repel each other first.
    """

    features: Tensor
    duplicates: Tensor
    kept: Tensor
    synonyms: Relations
    never_negative: Relations
    antonyms: Relations


def feature_duplicates(readings: Sequence[str], features: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Label units that the head can't distinguish: alike but for case, with features that agree (cosine > .999).

    Shape: (V,), the label is the first such unit's id.
    """
    first: dict[str, int] = {}
    labels = np.array(
        [first.setdefault(surface.casefold(), unit) for unit, surface in enumerate(readings)], dtype=np.int64
    )
    later = np.nonzero(labels != np.arange(len(labels)))[0]
    left, right = features[later].astype(np.float32), features[labels[later]].astype(np.float32)
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    distinct = later[(left * right).sum(1) <= 0.999 * lengths]
    labels[distinct] = distinct
    return labels


class TokenHeadStep:
    """One training step: features of a batch of units to the weighted sum of all losses.

    Args:
        head: trained in place.
        queue: past codes, updated in place.
        units: features and relations.
        params: section ``token_head``.
        rules: of the collapse alarm.
    """

    def __init__(
        self,
        head: TokenHead,
        queue: CodeQueue,
        units: TrainingUnits,
        params: TokenHeadParams,
        rules: CollapseRules | None = None,
    ) -> None:
        self.head, self.queue, self.units, self.params = head, queue, units, params
        self.device = head.centre.device
        self.dtype = choose_dtype("auto", self.device)
        advice = "raise token_head.weight.contrastive, or lower token_head.learning_rate or the other weights"
        self.alarm = CollapseAlarm("the head codes", advice, rules)

    def __call__(self, batch: Tensor, progress: Progress) -> Mapping[str, Tensor]:
        """Components of the loss of a batch of unit ids. Shape: (B,)."""
        rows, synonyms = self.units.synonyms.turn(batch, progress.epoch)
        features = self.features(batch)
        both = self._codes(torch.cat((features, self.features(synonyms))))
        codes, attracted = both[: len(batch)], both[len(batch) :]
        squared, angular = self._reconstruction(batch, features, codes)
        cosines = codes @ codes.T
        contrast, unmasked = self._contrastive(batch, codes, cosines, progress)
        weights = self._weights(progress)
        anchored = cosines if weights["anchor"] > 0 else cosines.detach()  # for the curve alone
        parts = {
            "contrastive": contrast,
            "reconstruction": squared + angular,
            "anchor": losses.semantic_anchor(anchored, features - self.head.centre),
            "synonym": losses.synonym_attraction(codes[rows.to(self.device)], attracted, self.params.synonym_margin),
        }
        if weights["orthogonality"] > 0:
            parts["orthogonality"] = losses.orthogonality(self.head.project[-1].weight)  # type: ignore[arg-type]
        loss = torch.stack([weights[name] * value for name, value in parts.items()]).sum()
        self.queue.push(codes, batch)
        health = {"anisotropy": self.alarm(codes), "spread": spread(codes), "contrastive_unmasked": unmasked}
        return {"loss": loss, **parts, "reconstruction_cosine": 1.0 - angular.detach(), **health}

    def features(self, units: Tensor) -> Tensor:
        """Cached backbone features of units, in float32 on the device. Shape: (B,) to (B, H)."""
        return self.units.features[units].to(self.device, torch.float32)

    def _autocast(self) -> torch.autocast:
        """The two MLPs in bfloat16 where the device multiplies it natively; losses stay in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16)

    def _codes(self, features: Tensor) -> Tensor:
        with self._autocast():
            codes: Tensor = self.head(features)
        return codes

    def _weights(self, progress: Progress) -> dict[str, float]:
        weight = self.params.weight
        warm = linear_warmup(progress.epochs_done, self.params.reconstruction_warmup_epochs)
        return {
            "contrastive": weight.contrastive,
            "reconstruction": weight.reconstruction * warm,
            "anchor": cosine(weight.anchor_start, weight.anchor_end, progress.share),
            "synonym": weight.synonym,
            "orthogonality": weight.orthogonality,
        }

    def _contrastive(
        self, batch: Tensor, codes: Tensor, cosines: Tensor, progress: Progress
    ) -> tuple[Tensor, Tensor]:
        """InfoNCE against the batch, the hard negatives and antonyms of all rows, and the queue.

        Hard negatives are of the batch themselves, so the batch's cosines serve to find them and to compare with
        them: a unit counts once as part of the batch, and once more for every row whose hard negative it is. Both
        sides of such a pair learn from it; antonyms, mostly no part of the batch, and the queue are fixed.

        Returns:
            The loss, and for comparison what the research script minimised: the hard negatives of all rows as
            candidates of every row, itself among them where it is another's hard negative. That one has a floor.
        """
        excluded = self.excluded(batch, batch).to(self.device)
        hard = hardest(cosines.detach(), excluded, self.params.hard_negatives)
        rows, antonyms = self.units.antonyms.turn(batch, progress.epoch)
        kept = torch.ones_like(hard, dtype=torch.bool)
        kept[rows.to(self.device), -1] = False  # the last hard negative gives way to an antonym
        with torch.no_grad():
            repelled = self._codes(self.features(antonyms))
        queue_codes, queue_units = self.queue.entries()
        others, units = torch.cat((repelled, queue_codes)), torch.cat((antonyms, queue_units))
        own = (codes * losses.jittered(codes, self.params.jitter)).sum(dim=1)
        times = torch.bincount(hard[kept], minlength=len(batch))
        temperature = cosine(self.params.temperature.start, self.params.temperature.end, progress.share)
        loss = losses.contrastive(
            own,
            torch.cat((cosines, codes @ others.T), dim=1),
            torch.cat((excluded, self.excluded(batch, units).to(self.device)), dim=1),
            F.pad(1 + times, (0, len(units)), value=1),
            temperature,
        )
        with torch.no_grad():
            nothing = torch.zeros_like(excluded)
            return loss, losses.contrastive(own, cosines, nothing, times, temperature)

    def excluded(self, batch: Tensor, candidates: Tensor) -> Tensor:
        """Where a candidate is no negative of a unit: itself, its duplicates, synonyms and inflections.

        Shape: batch (B,), candidates (C,), result (B, C) bool.
        """
        same = same_unit(batch, candidates, self.units.duplicates)
        return same | self.units.never_negative.among(batch, candidates)

    def identities(self, batch: Tensor, codes: Tensor) -> Tensor:  # noqa: ARG002 what others may choose by
        """Identity parts that the reconstruction sees: fresh random signs. Shape: (B,) and (B, O) to (B, O)."""
        signs = torch.randint(0, 2, codes.shape, device=codes.device, dtype=codes.dtype) * 2 - 1
        return signs / math.sqrt(codes.shape[1])

    def _reconstruction(self, batch: Tensor, features: Tensor, codes: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruct from codes with a fresh random identity part, never the unit's own.

        With its own, the reconstruction would learn by heart which features go with which random vector. Half of the
        rows see the first estimate of the head code, half the head code itself, which refinement comes close to.
        """
        unit = self.head.mix(codes, self.identities(batch, codes))
        first = torch.rand(len(codes), 1, device=codes.device) < 0.5
        with self._autocast():
            estimate = torch.where(first, self.head.first_estimate(unit), codes * math.sqrt(codes.shape[1]))
            restored = self.head.restored(estimate)
        return losses.reconstruction(restored, features, self.head.scale)
