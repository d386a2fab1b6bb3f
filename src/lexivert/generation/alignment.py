"""Alignment: a linear map from another encoder's embeddings to the backbone's, fitted to pairs of text and vector.

Ridge regression in closed form, as ALGEN (Chen et al. 2025) uses least squares. The strength is chosen by
leave-one-out residuals, which ridge regression has without a second fit (Allen 1974, PRESS). Embeddings are compared
by direction, so both sides have unit length; both are centred.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from lexivert import artifacts
from lexivert.damage import damage
from lexivert.errors import LexivertError, RowError

FloatArray = npt.NDArray[np.float32]
_Doubles = npt.NDArray[np.float64]
FEWEST = 100
"""Pairs that a map is fitted to at least."""
WEIGHTS, CONFIG = "alignment.safetensors", "config.json"
FORMAT = "lexivert-alignment"
_STRENGTHS = tuple(10.0**power for power in np.arange(-6.0, 2.5, 0.5))
"""Ridge strengths tried, in units of the embeddings' mean variance a dimension, times the number of pairs."""
_HELDOUT_SHARE, _MOST_HELDOUT = 0.2, 1000  # of the pairs, for the figure that is reported
_NORMAL = 1.96  # standard errors of a 95 % interval
_TELLING = 1.5  # random directions must be so much further away than the encoder's own, or nothing can be told
_SHRINKAGE = 1e-3  # of the covariance to a multiple of the identity


@dataclass(frozen=True)
class Fit:
    """How an alignment was fitted, and how well; the content of ``config.json``.

    Attributes:
        encoder: name of the other encoder, as its user gave it; may be empty.
        fingerprint: of the other encoder, where its vectors came with one; else empty.
        backbone: fingerprint of the backbone whose embeddings the map gives.
        pairs: it was fitted to.
        strength: of the ridge, see ``_STRENGTHS``.
        heldout: pairs that ``cosine`` was measured on, by a map that was fitted without them.
        cosine: mean cosine of mapped and true embeddings of these pairs.
        cosine_low: lower end of its 95 % interval.
        cosine_high: upper end.
        baseline: mean cosine of these pairs' true embeddings with the mean embedding of the others, which is what a
            map gives that tells nothing of a text. Where texts are alike, it is high.
        distance_limit: largest median of ``Alignment.distance`` that embeddings of the encoder may have; 0 where its
            embeddings look like any others.
    """

    encoder: str
    fingerprint: str
    backbone: str
    pairs: int
    strength: float
    heldout: int
    cosine: float
    cosine_low: float
    cosine_high: float
    baseline: float
    distance_limit: float

    @property
    def beats_baseline(self) -> bool:
        """Whether mapped embeddings are surely nearer than the mean embedding: the interval lies above its cosine."""
        return self.cosine_low > self.baseline


@dataclass(frozen=True)
class Alignment:
    """The map ``normalise(mean_to + (x - mean_from) weight)``.

    Attributes:
        weight: Shape: (F, S), F wide is the other encoder.
        mean_from: of the other encoder's embeddings. Shape: (F,).
        mean_to: of the backbone's. Shape: (S,).
        precision: inverse covariance of the other encoder's embeddings, shrunk. Shape: (F, F).
        fit: what it was fitted to.
    """

    weight: FloatArray
    mean_from: FloatArray
    mean_to: FloatArray
    precision: FloatArray
    fit: Fit

    @property
    def width(self) -> int:
        """Width of the other encoder's embeddings, F."""
        return int(self.weight.shape[0])

    @classmethod
    def of(
        cls,
        foreign: npt.NDArray[Any],
        ours: npt.NDArray[Any],
        *,
        encoder: str,
        backbone: str,
        fingerprint: str = "",
        seed: int = 0,
    ) -> Alignment:
        """Fit a map to pairs of embeddings of the same texts.

        A part of the pairs is held out and the others' map measured on it; the map itself is fitted to all.

        Args:
            foreign: the other encoder's. Shape: (B, F).
            ours: the backbone's. Shape: (B, S).
            encoder: name of the other encoder; empty if unknown.
            backbone: fingerprint of the backbone.
            fingerprint: of the other encoder; empty if unknown.
            seed: draws the held-out part.

        Raises:
            ValueError: fewer than ``FEWEST`` pairs, or the other encoder's embeddings are all the same.
            RowError: an embedding is zero or not finite; a ValueError with its ``row``.
        """
        check_pairs(len(foreign), len(foreign))
        x, y = _unit(foreign), _unit(ours)
        order = np.random.default_rng(seed).permutation(len(x))
        count = min(round(_HELDOUT_SHARE * len(x)), _MOST_HELDOUT)
        heldout, rest = order[:count], order[count:]
        weight, mean_from, mean_to, _ = _ridge(x[rest], y[rest])
        cosines = (_unit(mean_to + (x[heldout] - mean_from) @ weight) * y[heldout]).sum(axis=1)
        baseline = float((y[heldout] @ mean_to).mean() / max(float(np.linalg.norm(mean_to)), 1e-12))
        limit = _limit(x[rest], x[heldout])
        weight, mean_from, mean_to, strength = _ridge(x, y)
        fit = Fit(
            encoder, fingerprint, backbone, len(x), strength, count, *_mean_and_interval(cosines), baseline, limit
        )
        single = np.float32
        return cls(
            weight.astype(single), mean_from.astype(single), mean_to.astype(single), _precision(x).astype(single), fit
        )

    def apply(self, embeddings: npt.NDArray[Any], fingerprint: str) -> FloatArray:
        """The backbone's embeddings that go with the other encoder's.

        Args:
            embeddings: of the other encoder, of any positive length. Shape: (B, F).
            fingerprint: of the backbone that they are wanted for.

        Shape: (B, S), unit length.

        Raises:
            ValueError: the map leads to another backbone, or the embeddings have another width or are not the other
                encoder's, as far as their distribution tells.
            RowError: an embedding is zero or not finite; a ValueError with its ``row``.
        """
        if fingerprint != self.fit.backbone:
            raise ValueError(
                f"alignment leads to the backbone {self.fit.backbone[:12]}, but the model's is {fingerprint[:12]}; "
                "fit it anew with `lexivert align`"
            )
        if embeddings.ndim != 2 or embeddings.shape[1] != self.width:
            found = f"{embeddings.shape[1]} wide" if embeddings.ndim == 2 else f"of shape {embeddings.shape}"
            raise ValueError(
                f"embeddings are {found}; the alignment is for those of {self._named}, (B, {self.width})"
            )
        x = _unit(embeddings)
        limit = self.fit.distance_limit
        if limit and len(x) and (distance := float(np.median(self.distance(x)))) > limit:
            raise ValueError(
                f"embeddings are not those of {self._named}: their median squared Mahalanobis distance is "
                f"{distance:.2f}, its own have at most {limit:.2f}; use the encoder that the alignment was fitted to"
            )
        return _unit(self.mean_to + (x - self.mean_from) @ self.weight.astype(np.float64)).astype(np.float32)

    def check_fingerprint(self, found: str | None) -> None:
        """Refuse vectors that say that they are of another encoder; who says nothing passes.

        Raises:
            ValueError: they do.
        """
        if found and self.fit.fingerprint and found != self.fit.fingerprint:
            raise ValueError(
                f"vectors were written by the encoder {found}, but the alignment is for {self.fit.fingerprint}; use "
                "that encoder, or fit the alignment anew with `lexivert align`"
            )

    def distance(self, embeddings: npt.NDArray[np.floating]) -> _Doubles:
        """Squared Mahalanobis distance from the encoder's mean, over F: about 1 for its own embeddings.

        Those of another encoder of the same width are further away. Shape: unit length (B, F) to (B,).
        """
        return _mahalanobis(embeddings - self.mean_from, self.precision.astype(np.float64))

    @property
    def _named(self) -> str:
        return self.fit.encoder or self.fit.fingerprint or "the encoder it was fitted to"

    def save(self, folder: Path | str) -> None:
        """Write ``alignment.safetensors`` and ``config.json``, both or neither.

        Args:
            folder: made, or replaced if it holds an alignment.

        Raises:
            LexivertError: it holds something else.
        """
        folder = Path(folder)
        check_target(folder)
        names = ("weight", "mean_from", "mean_to", "precision")
        with artifacts.atomic_path(folder) as temporary:
            temporary.mkdir()
            save_file({name: np.ascontiguousarray(getattr(self, name)) for name in names}, temporary / WEIGHTS)
            artifacts.write_json(temporary / CONFIG, {"format": FORMAT, **asdict(self.fit)})

    @classmethod
    def load(cls, folder: Path | str) -> Alignment:
        """Read what ``save`` wrote.

        Raises:
            LexivertError: it is no alignment, or a file of it is missing or damaged.
        """
        folder = Path(folder)
        if not is_alignment(folder):
            raise LexivertError(f"{folder} is no alignment; give a folder that `lexivert align` wrote")
        content = artifacts.read_json(folder / CONFIG)
        del content["format"]
        with damage(folder, "run `lexivert align` again"):
            found = cls(**load_file(folder / WEIGHTS), fit=Fit(**content))
            f, s = found.weight.shape
            if (found.mean_from.shape, found.mean_to.shape, found.precision.shape) != ((f,), (s,), (f, f)):
                raise ValueError(f"a weight of shape {found.weight.shape} beside others")
        return found


def is_alignment(folder: Path) -> bool:
    """Whether a folder's ``config.json`` says that this is an alignment."""
    try:
        content = artifacts.read_json(folder / CONFIG)
    except (LexivertError, OSError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def check_target(folder: Path) -> None:
    """Refuse to replace what is no alignment.

    Raises:
        LexivertError: it is a file, or a folder that holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise LexivertError(f"{folder} is a file; name a folder for the alignment")
    if folder.is_dir() and any(folder.iterdir()) and not is_alignment(folder):
        raise LexivertError(f"{folder} is no alignment, and not empty; name another folder")


def check_pairs(different: int, given: int) -> None:
    """Refuse too few texts.

    Args:
        different: texts that differ from each other.
        given: all texts.

    Raises:
        ValueError: there are fewer than ``FEWEST``.
    """
    if different < FEWEST:
        repeated = f": {given - different} of the {given} given repeat another" if different < given else ""
        raise ValueError(f"an alignment needs at least {FEWEST} different texts, not {different}{repeated}")


def _mean_and_interval(cosines: _Doubles) -> tuple[float, float, float]:
    """Mean of cosines, and the ends of its 95 % interval, by Fisher's z (1915), so that they stay within -1 and 1.

    The standard error of ``atanh(mean)`` is that of the mean over ``1 - mean²`` (delta method).
    """
    mean = min(float(cosines.mean()), 1.0)
    error = float(cosines.std(ddof=1)) / math.sqrt(len(cosines))
    slope = 1.0 - mean**2
    if slope < 1e-12:  # all of them are 1 but for rounding
        return mean, mean, 1.0
    half = _NORMAL * error / slope
    return mean, math.tanh(math.atanh(mean) - half), math.tanh(math.atanh(mean) + half)


def _unit(vectors: npt.NDArray[Any]) -> _Doubles:
    """Rows at unit length; one that is zero or not finite is refused."""
    wide = vectors.astype(np.float64)
    if not np.isfinite(wide).all():
        raise RowError("vector", int((~np.isfinite(wide).all(axis=1)).argmax()), "holds NaN or infinity")
    largest = np.abs(wide).max(axis=1, keepdims=True)
    if not largest.all():
        raise RowError("vector", int((largest[:, 0] == 0).argmax()), "is zero; it has no direction")
    wide /= largest
    scaled: _Doubles = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return scaled


def _ridge(x: _Doubles, y: _Doubles) -> tuple[_Doubles, _Doubles, _Doubles, float]:
    """Weights, both means, and the strength whose leave-one-out predictions have most cosine with ``y``.

    With ``x = U s V`` centred, predictions are ``U d U' y``, ``d = s² / (s² + strength)``; a row's leave-one-out
    residual is its residual over 1 less its leverage, the mean's part in it included.

    Shape: x (B, F), y (B, S), result (F, S), (F,), (S,).
    """
    mean_from, mean_to = x.mean(axis=0), y.mean(axis=0)
    u, s, v = np.linalg.svd(x - mean_from, full_matrices=False)
    if not s[0] > 1e-9:
        raise ValueError("the other encoder's embeddings are all the same; nothing can be learned from them")
    rotated = u.T @ (y - mean_to)
    best, chosen = -math.inf, 0.0
    for strength in _STRENGTHS:
        shrunk = s**2 / (s**2 + strength * (s**2).mean())
        leverage = 1.0 / len(x) + (u**2) @ shrunk
        residual = y - mean_to - (u * shrunk) @ rotated
        without = y - residual / np.maximum(1.0 - leverage, 1e-9)[:, None]
        cosine = float(((without * y).sum(axis=1) / np.maximum(np.linalg.norm(without, axis=1), 1e-12)).mean())
        if cosine > best:
            best, chosen = cosine, strength
    weight = (v.T * (s / (s**2 + chosen * (s**2).mean()))) @ rotated
    return weight, mean_from, mean_to, chosen


def _precision(x: _Doubles) -> _Doubles:
    """Inverse covariance, shrunk to a multiple of the identity. Shape: (B, F) to (F, F)."""
    covariance = np.cov(x, rowvar=False)
    scale = np.trace(covariance) / len(covariance)
    inverse: _Doubles = np.linalg.inv(covariance + _SHRINKAGE * scale * np.eye(len(covariance)))
    return inverse


def _mahalanobis(centred: npt.NDArray[np.floating], precision: _Doubles) -> _Doubles:
    found: _Doubles = ((centred @ precision) * centred).sum(axis=1) / len(precision)
    return found


def _limit(x: _Doubles, heldout: _Doubles) -> float:
    """Half-way between the distance of the encoder's own embeddings and that of directions drawn at random.

    So noise down to a cosine of about .7 still passes. 0 if the two differ too little to tell.
    """
    precision, mean = _precision(x), x.mean(axis=0)
    centred = heldout - mean
    own = float(np.median(_mahalanobis(centred, precision)))
    random = float(np.trace(precision) / len(precision) * np.median((centred**2).sum(axis=1)) / len(precision))
    return (own + random) / 2 if random > _TELLING * own else 0.0
