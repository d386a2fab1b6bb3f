"""The token head: backbone features of a unit to its unit code, and back.

``c(u) = normalise(sqrt(1 - s)·head(u) + sqrt(s)·identity(u))`` with s the identity share. The reconstruction reads
the full code c(u), since that is what retrieval gives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lexivert import artifacts
from lexivert.codes.hashing import identity_codes
from lexivert.errors import DamagedArtifactError, LexivertError


@dataclass(frozen=True)
class TokenHeadConfig:
    """What ``config.json`` holds.

    Attributes:
        feature_width: H.
        hidden: width of both MLPs' hidden layers.
        code_width: O.
        identity_share: energy of the identity part in a code, 0 to 1.
        identity_seed: seed of the identity codes.
    """

    feature_width: int
    hidden: int
    code_width: int
    identity_share: float
    identity_seed: int


def _mlp(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.GELU(), nn.LayerNorm(hidden), nn.Linear(hidden, outputs, bias=False)
    )


class TokenHead(nn.Module):
    """Projection MLP and reconstruction MLP around fixed feature statistics.

    Args:
        config: widths and the identity part.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, config: TokenHeadConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("centre", torch.zeros(config.feature_width))
        self.register_buffer("scale", torch.ones(()))
        self.project = _mlp(config.feature_width, config.hidden, config.code_width)
        self.restore = _mlp(config.code_width, config.hidden, config.feature_width)

    def fit_statistics(self, features: Tensor) -> None:
        """Set centre and scale (root mean square of what is left) from training features. Shape: (M, H)."""
        self.centre.copy_(features.mean(0))
        self.scale.copy_((features - self.centre).square().mean().sqrt().clamp_min(1e-6))

    def forward(self, features: Tensor) -> Tensor:
        """Head codes of unit length. Shape: (B, H) to (B, O)."""
        return F.normalize(self.project((features - self.centre) / self.scale).float(), dim=-1)

    def mix(self, head: Tensor, identity: Tensor) -> Tensor:
        """Unit codes from head codes and identity codes. Shape: (B, O) twice to (B, O), unit length."""
        share = self.config.identity_share
        return F.normalize(math.sqrt(1.0 - share) * head + math.sqrt(share) * identity, dim=-1)

    def first_estimate(self, codes: Tensor) -> Tensor:
        """Head codes guessed from unit codes alone: what is left after the expected identity signs.

        A component is ``h ± a`` with h about normal of variance v, so that the sign's mean given the component x is
        ``tanh(x·a / v)`` (the posterior mean of a binary signal in Gaussian noise).

        Shape: (B, O) to (B, O), components of about unit variance.
        """
        variance = (1.0 - self.config.identity_share) / self.config.code_width
        return self._without_identity(codes, codes, codes.new_tensor(variance))

    def refined_estimate(self, codes: Tensor, features: Tensor) -> Tensor:
        """Head codes guessed from unit codes once features are guessed: their head code is taken off first.

        Shape: codes (B, O) and features (B, H) to (B, O), components of about unit variance.
        """
        rest = codes - math.sqrt(1.0 - self.config.identity_share) * self(features)
        variance = rest.square().mean(-1, keepdim=True) - self._amplitude**2
        return self._without_identity(codes, rest, variance)

    def restored(self, estimate: Tensor) -> Tensor:
        """Backbone features from an estimate of the head code. Shape: (B, O) to (B, H)."""
        features: Tensor = self.restore(estimate).float()
        return features * self.scale + self.centre

    def reconstruct(self, codes: Tensor, refinements: int = 2) -> Tensor:
        """Backbone features from unit codes, by interference cancellation between head and identity part.

        Guess the identity's signs, take them off, restore features; then again with the head code of those features
        taken off before the signs are guessed.

        Args:
            codes: unit codes ``c(u)``. Shape: (B, O).
            refinements: how often to go back.

        Shape: (B, H).
        """
        features = self.restored(self.first_estimate(codes))
        for _ in range(refinements):
            features = self.restored(self.refined_estimate(codes, features))
        return features

    @property
    def _amplitude(self) -> float:
        return math.sqrt(self.config.identity_share / self.config.code_width)

    def _without_identity(self, codes: Tensor, evidence: Tensor, variance: Tensor) -> Tensor:
        signs = torch.tanh(evidence * self._amplitude / variance.clamp_min(1e-3 / self.config.code_width))
        head_energy = max(1.0 - self.config.identity_share, 1e-6)
        return (codes - self._amplitude * signs) * math.sqrt(self.config.code_width / head_energy)

    def save(self, folder: Path) -> None:
        """Write ``head.safetensors`` and ``config.json``."""
        with artifacts.atomic_path(folder) as temporary:
            temporary.mkdir()
            state = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
            save_file(state, temporary / "head.safetensors")
            artifacts.write_json(temporary / "config.json", asdict(self.config))

    @classmethod
    def load(cls, folder: Path) -> TokenHead:
        """Read what ``save`` wrote, in eval mode.

        Raises:
            MissingArtifactError: a file is not there.
            DamagedArtifactError: a file can't be read, or the two don't fit each other.
        """
        config_path, weights_path = folder / "config.json", artifacts.require(folder) / "head.safetensors"
        content: Any = artifacts.read_json(config_path)
        try:
            head = cls(TokenHeadConfig(**content))
        except (TypeError, ValueError) as error:
            raise DamagedArtifactError(f"{config_path} is no token head's; run `dvc repro token_head`") from error
        try:
            head.load_state_dict(load_file(artifacts.require(weights_path)))
        except (safetensors.SafetensorError, RuntimeError, OSError) as error:
            reason = str(error).splitlines()[0]
            raise DamagedArtifactError(f"{weights_path} is damaged ({reason}); run `dvc repro token_head`") from error
        return head.eval().requires_grad_(requires_grad=False)


@torch.inference_mode()
def head_codes(head: TokenHead, features: npt.NDArray[Any], batch_size: int = 4096) -> npt.NDArray[np.float32]:
    """Head codes of many units, without the identity part. Shape: (V, H) to (V, O)."""
    device = head.centre.device
    codes = np.empty((len(features), head.config.code_width), dtype=np.float32)
    for start in range(0, len(features), batch_size):
        rows = torch.from_numpy(np.asarray(features[start : start + batch_size], dtype=np.float32))
        codes[start : start + batch_size] = head(rows.to(device)).cpu().numpy()
    return codes


@torch.inference_mode()
def unit_codes(
    head: TokenHead, features: npt.NDArray[Any], surfaces: Sequence[str], batch_size: int = 4096
) -> npt.NDArray[np.float16]:
    """Unit codes ``c(u)`` of many units.

    Args:
        head: trained head.
        features: backbone features, row = unit. Shape: (V, H).
        surfaces: V strings.
        batch_size: units at a time.

    Shape: (V, O) float16, unit length up to rounding.

    Raises:
        LexivertError: features and surfaces don't fit each other or the head.
    """
    if features.shape != (len(surfaces), head.config.feature_width):
        raise LexivertError(
            f"unit features are {features.shape}; {len(surfaces)} units and a head for features of width "
            f"{head.config.feature_width} need {(len(surfaces), head.config.feature_width)}"
        )
    codes = np.empty((len(surfaces), head.config.code_width), dtype=np.float16)
    for start in range(0, len(surfaces), batch_size):
        stop = min(start + batch_size, len(surfaces))
        learned = torch.from_numpy(head_codes(head, features[start:stop], batch_size))
        fixed = identity_codes(surfaces[start:stop], head.config.code_width, head.config.identity_seed)
        codes[start:stop] = head.mix(learned, torch.from_numpy(fixed)).numpy()
    return codes
