"""What the token head is trained on, read from the files of earlier stages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.token_head import TokenHeadConfig
from lexivert.codes.token_head_step import TrainingUnits, feature_duplicates
from lexivert.config import Params
from lexivert.data.relations import Relations, read_relations
from lexivert.data.unit_split import heldout_units, unit_readings
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.text.lexicon import Lexicon

PAIR_KINDS = ("synonym", "inflection", "sibling", "antonym")


@dataclass(frozen=True)
class TokenHeadData:
    """Inputs of the stage.

    Attributes:
        features: backbone features. Shape: (V, H) float16.
        surfaces: V strings.
        heldout: units kept out of training. Shape: (V,) bool.
        units: what the trainer sees.
        pairs: all related units by relation, held-out ones included.
        config: widths and identity part of the head.
    """

    features: npt.NDArray[Any]
    surfaces: tuple[str, ...]
    heldout: npt.NDArray[np.bool_]
    units: TrainingUnits
    pairs: dict[str, Relations]
    config: TokenHeadConfig


def read_token_head_data(paths: Paths, params: Params) -> TokenHeadData:
    """Read lexicon, features and maps.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is not there or doesn't fit the others.
        LexivertError: ``code.embed_dim`` leaves no room for the order part.
    """
    lexicon = Lexicon.load(paths.vocab)
    surfaces = lexicon.surfaces
    features = artifacts.read_array(paths.unit_features)
    if features.ndim != 2 or len(features) != len(surfaces):
        raise DamagedArtifactError(
            f"{paths.unit_features} has shape {features.shape} for {len(surfaces)} units; run `dvc repro features`"
        )
    if not np.isfinite(features).all():
        raise DamagedArtifactError(
            f"{paths.unit_features} holds numbers that are not finite; run `dvc repro features`"
        )
    readings, heldout = unit_readings(lexicon), heldout_units(lexicon, params)
    return TokenHeadData(
        features=features,
        surfaces=surfaces,
        heldout=heldout,
        units=_training_units(paths, readings, features, ~heldout),
        pairs={kind: _relations(paths, (kind,), np.ones_like(heldout)) for kind in PAIR_KINDS},
        config=head_config(params, features.shape[1]),
    )


def head_config(params: Params, feature_width: int) -> TokenHeadConfig:
    """Widths and identity part of the head for features of width H.

    Raises:
        LexivertError: ``code.embed_dim`` leaves no even width above 0 for the order part.
    """
    code_width = params.code.embed_dim - feature_width
    if code_width < 2 or code_width % 2:
        raise LexivertError(
            f"code.embed_dim is {params.code.embed_dim}; with features of width {feature_width} it must be at least "
            f"{feature_width + 2} and differ from {feature_width} by an even number"
        )
    return TokenHeadConfig(
        feature_width=feature_width,
        hidden=params.token_head.hidden,
        code_width=code_width,
        identity_share=params.code.identity_share,
        identity_seed=params.seed,
    )


def _training_units(
    paths: Paths, readings: list[str], features: npt.NDArray[Any], keep: npt.NDArray[np.bool_]
) -> TrainingUnits:
    return TrainingUnits(
        features=torch.from_numpy(features),
        duplicates=torch.from_numpy(feature_duplicates(readings, features)),
        kept=torch.from_numpy(np.nonzero(keep)[0]),
        synonyms=_relations(paths, ("synonym",), keep),
        never_negative=_relations(paths, ("synonym", "inflection"), keep),
        antonyms=_relations(paths, ("antonym",), keep),
    )


def _relations(paths: Paths, names: tuple[str, ...], keep: npt.NDArray[np.bool_]) -> Relations:
    path = paths.antonyms if "antonym" in names else paths.synonyms
    return read_relations(path, names, len(keep), keep)
